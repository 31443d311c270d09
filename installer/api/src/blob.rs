//! A blob: bytes named by their digest.

use serde::{Deserialize, Serialize};

use crate::Sha256Digest;

/// Names a blob: the SHA-256 digest of its bytes, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// The digest of the bytes.
    pub sha256: Sha256Digest,
    /// The number of bytes.
    pub size: u64,
}
