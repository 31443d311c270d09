//! Snapshots on their way from a host, and what is known of one that is whole.

use serde::{Deserialize, Serialize};

use crate::{Failure, Sha256Digest};

/// A line on a channel of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "snapshot", rename_all = "kebab-case")]
pub enum EtcdSnapshotLine {
    /// So many raw bytes follow.
    Piece {
        /// How many.
        size: usize,
        /// How many more there are after them.
        remaining: u64,
    },
    /// All has been sent, and the digest was right.
    Whole {
        /// What has been sent.
        summary: EtcdSnapshotSummary,
    },
    /// Nothing follows.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// A snapshot that was sent whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdSnapshotSummary {
    /// Its size in bytes, etcd's digest at its end included.
    pub size: u64,
    /// The digest of the database, which etcd appended and the host computed.
    pub database_sha256: Sha256Digest,
}

/// A snapshot that a host took and keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdSnapshotKept {
    /// Where it is on the host.
    pub path: String,
    /// The newest revision in it.
    pub revision: u64,
    /// Its size in bytes, etcd's digest at its end included.
    pub size: u64,
    /// The digest of the database, which is right.
    pub database_sha256: Sha256Digest,
    /// The digest of the whole file.
    pub sha256: Sha256Digest,
    /// The older ones that were deleted.
    pub deleted: Vec<String>,
}
