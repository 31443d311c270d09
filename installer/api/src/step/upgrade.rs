//! Steps of an upgrade beside what every node needs.

use serde::{Deserialize, Serialize};

use crate::Blob;

/// Brings blobs to the host before anything is interrupted; other steps install them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageBlobs {
    /// What they are, for people: `kubelet v1.36.3`.
    pub names: Vec<String>,
    /// The blobs.
    pub blobs: Vec<Blob>,
}

/// Takes a snapshot of this host's etcd member into a folder here and reads it again,
/// unless the folder has one that is young enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEtcd {
    /// The cluster, with whose name the files' names begin.
    pub cluster: String,
    /// The folder.
    pub dir: String,
    /// How many are kept.
    pub keep: u16,
    /// How old one may be that is there, in seconds.
    pub fresh_seconds: u64,
}

/// Keeps copies of this host's files as they are before an upgrade, and notes which were not
/// there. What was kept for the same upgrade stays: a run that goes on finds the node changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepNode {
    /// What names the upgrade: the same for the same changes.
    pub upgrade: String,
    /// The files.
    pub paths: Vec<String>,
}

/// Puts the files back that were kept for an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutNodeBack {
    /// What names the upgrade.
    pub upgrade: String,
}

/// Deletes everything that was kept for upgrades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetKept {}

/// Lets pods onto a node again that was drained for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncordonNode {
    /// The node's name.
    pub node_name: String,
}
