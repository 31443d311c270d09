//! A file of the user's that a host is given.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Blob;

/// A file of the user's that a host is given. Its content is never here: it
/// may be a secret, and plans are made from this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFile {
    /// The file beside the cluster file, as its path is written.
    pub src: PathBuf,
    /// The absolute path on the host.
    pub dest: String,
    /// The permission bits; 0600 by default.
    pub mode: u32,
    /// The content's digest and size; none while nobody read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Blob>,
}

impl HostFile {
    /// The largest file that is brought onto a host, in bytes: 1 MiB.
    pub const MAX_BYTES: u64 = 1 << 20;
}
