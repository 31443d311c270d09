//! A Kubernetes version such as `v1.36.3`.

use std::fmt;
use std::str::FromStr;

use crate::text_form::serde_as_text;

/// A full Kubernetes version; printed with the leading `v`, as Kubernetes does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion(semver::Version);

impl KubernetesVersion {
    /// Returns the version `v1.<minor>.<patch>`.
    pub fn new(minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(1, minor, patch))
    }

    /// Returns the minor number: 36 for `v1.36.3`.
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// Returns the patch number: 3 for `v1.36.3`.
    pub fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Returns the version without the leading `v`.
    pub fn number(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The text is not a full Kubernetes version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a full Kubernetes version such as `1.36.3`")]
pub struct InvalidVersion(String);

impl FromStr for KubernetesVersion {
    type Err = InvalidVersion;

    /// Parses `1.36.3` or `v1.36.3`; build metadata is refused.
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.chars().take(80).collect());
        let version = semver::Version::parse(text.strip_prefix('v').unwrap_or(text))
            .map_err(|_| invalid())?;
        if version.major != 1 || !version.build.is_empty() {
            return Err(invalid());
        }
        Ok(Self(version))
    }
}

serde_as_text!(KubernetesVersion);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same_and_print_with_v() {
        let version: KubernetesVersion = "1.36.3".parse().unwrap();
        assert_eq!("v1.36.3".parse(), Ok(version.clone()));
        assert_eq!(version.to_string(), "v1.36.3");
        assert_eq!((version.minor(), version.patch()), (36, 3));
    }

    #[test]
    fn incomplete_or_foreign_versions_are_refused() {
        for text in ["", "1.36", "2.0.0", "latest", "1.36.3+k3s1", "vv1.36.3"] {
            assert!(text.parse::<KubernetesVersion>().is_err(), "{text}");
        }
    }
}
