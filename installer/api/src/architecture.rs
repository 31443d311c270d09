//! A processor architecture, in Go's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A processor architecture that Kubernetes is released for and Slipway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86; `uname -m` says `x86_64`.
    Amd64,
    /// 64-bit Arm; `uname -m` says `aarch64`.
    Arm64,
}

impl Architecture {
    /// Returns Go's name, as in download URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no architecture that Slipway knows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an architecture Slipway knows: amd64, arm64")]
pub struct UnknownArchitecture(String);

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    /// Parses Go's names and those of `uname -m`.
    fn from_str(text: &str) -> Result<Self, UnknownArchitecture> {
        match text {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            other => Err(UnknownArchitecture(other.chars().take(40).collect())),
        }
    }
}
