//! A secret on its way to an agent.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret that a request carries: never in a plan, an event or a log, since
/// it prints as nothing of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Returns the secret `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the secret itself. Never log it or put it into a process's arguments.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_travels_and_is_not_shown() {
        let secret = SecretText::new("abcdef.0123456789abcdef");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        let line = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<SecretText>(&line).unwrap(), secret);
    }
}
