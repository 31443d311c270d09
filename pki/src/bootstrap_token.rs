//! Bootstrap tokens, by which a new node proves that it may join.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::PkiError;

const SYMBOLS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ID: usize = 6;
const SECRET: usize = 16;
/// Random bytes from this one on would make some symbols likelier than others (252 = 7 × 36).
const UNBIASED: u8 = 252;

/// A bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`; its id is public, the rest is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    id: String,
    secret: Zeroizing<String>,
}

impl BootstrapToken {
    /// Generates a new token.
    ///
    /// # Errors
    /// [`PkiError::Random`] when the random generator fails.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self {
            id: random_symbols(ID)?.to_string(),
            secret: random_symbols(SECRET)?,
        })
    }

    /// Returns the public part, which names the Secret `bootstrap-token-<id>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the secret part alone, as the Secret's key `token-secret` holds it.
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }

    /// Returns the whole token as text. Never log it or put it into a process's arguments.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, self.secret.as_str()))
    }
}

impl FromStr for BootstrapToken {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_part = |part: &str, length| {
            part.len() == length && part.bytes().all(|byte| SYMBOLS.contains(&byte))
        };
        match text.split_once('.') {
            Some((id, secret)) if is_part(id, ID) && is_part(secret, SECRET) => Ok(Self {
                id: id.to_owned(),
                secret: Zeroizing::new(secret.to_owned()),
            }),
            _ => Err(PkiError::InvalidBootstrapToken),
        }
    }
}

impl fmt::Display for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.[redacted]", self.id)
    }
}

impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn random_symbols(count: usize) -> Result<Zeroizing<String>, PkiError> {
    let mut text = Zeroizing::new(String::with_capacity(count));
    while text.len() < count {
        let mut byte = Zeroizing::new([0_u8; 1]);
        rand::fill(byte.as_mut_slice()).map_err(|_| PkiError::Random)?;
        if byte[0] < UNBIASED {
            text.push(char::from(SYMBOLS[usize::from(byte[0]) % SYMBOLS.len()]));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_token_reads_back_and_is_new_each_time() {
        let token = BootstrapToken::generate().unwrap();
        assert_eq!(token.expose().parse::<BootstrapToken>().unwrap(), token);
        assert_ne!(BootstrapToken::generate().unwrap(), token);
    }

    #[test]
    fn display_and_debug_hide_the_secret() {
        let token: BootstrapToken = "abcdef.0123456789abcdef".parse().unwrap();
        assert_eq!(token.to_string(), "abcdef.[redacted]");
        assert_eq!(format!("{token:?}"), "abcdef.[redacted]");
        assert_eq!(token.id(), "abcdef");
        assert_eq!(token.expose().as_str(), "abcdef.0123456789abcdef");
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "abcdef",
            "abcde.0123456789abcdef",
            "ABCDEF.0123456789abcdef",
            "abcdef.0123456789abcde",
            "abcdef.0123456789abcdef0",
            "abcdef:0123456789abcdef",
        ] {
            assert!(text.parse::<BootstrapToken>().is_err(), "{text}");
        }
    }
}
