//! A finding of preflight.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::HostName;

/// Something that preflight found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check's ID; kubeadm's where kubeadm has the check.
    pub id: String,
    /// Error or warning.
    pub severity: Severity,
    /// The host; none where it is about several.
    pub host: Option<HostName>,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: String,
    /// What mends it.
    pub help: String,
    /// Whether `--fix` can mend it.
    #[serde(default)]
    pub fixable: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Warning,
    /// Nothing is started.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        })
    }
}
