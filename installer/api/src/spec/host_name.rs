//! The name of a host in the cluster file.

use std::fmt;
use std::str::FromStr;

use crate::text_form::serde_as_text;

/// A host's name: an RFC 1123 subdomain of at most 253 characters, as
/// Kubernetes wants of a node's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is not a host's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a host name: lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit, at most 253 characters"
)]
pub struct InvalidHostName(String);

impl FromStr for HostName {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, InvalidHostName> {
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            let is_plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|b| is_plain(b) || *b == b'-')
                && bytes.first().is_some_and(is_plain)
                && bytes.last().is_some_and(is_plain)
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidHostName(text.chars().take(80).collect()))
        }
    }
}

serde_as_text!(HostName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_takes_are_taken() {
        for text in ["cp-1", "w1.example.com", "0"] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_that_kubernetes_refuses_are_refused() {
        for text in ["", "CP", "-a", "a-", "a..b", "a b", "a/b", &"a".repeat(64)] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
