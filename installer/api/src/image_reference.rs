//! The full name of a container image.

use std::fmt;
use std::str::FromStr;

use crate::text_form::serde_as_text;

/// A full image reference with registry, repository and tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: String,
}

impl ImageReference {
    /// Returns the reference `registry/repository:tag`.
    pub fn new(registry: &str, repository: &str, tag: &str) -> Self {
        Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
        }
    }

    /// Returns the registry, for example `registry.k8s.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository, for example `coredns/coredns`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

/// The text is not a full image reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a full image reference such as `registry.k8s.io/pause:3.10.2`")]
pub struct InvalidImageReference(String);

impl FromStr for ImageReference {
    type Err = InvalidImageReference;

    /// Parses `registry/repository:tag`; all three parts are required, and no
    /// part may lead out of a folder, since references become paths.
    fn from_str(text: &str) -> Result<Self, InvalidImageReference> {
        let invalid = || InvalidImageReference(text.chars().take(120).collect());
        let (registry, rest) = text.split_once('/').ok_or_else(invalid)?;
        let (repository, tag) = rest.rsplit_once(':').ok_or_else(invalid)?;
        let is_plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        };
        let registry_is_plain = registry.split(':').all(is_plain);
        if !registry_is_plain || !repository.split('/').all(is_plain) || !is_plain(tag) {
            return Err(invalid());
        }
        Ok(Self::new(registry, repository, tag))
    }
}

serde_as_text!(ImageReference);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_survives_a_round_trip() {
        for text in [
            "registry.k8s.io/coredns/coredns:v1.14.2",
            "localhost:5000/pause:3.10",
        ] {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn references_that_would_leave_a_folder_are_refused() {
        for text in ["a/../b:c", "/b:c", "a/b", "a/b:..", "../b:c", "a//b:c"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
