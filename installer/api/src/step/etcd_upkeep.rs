//! Steps that keep etcd in good order.

use serde::{Deserialize, Serialize};

use crate::Blob;

/// Writes a member's database anew without its holes, and ends its NOSPACE
/// alarm: the member answers nobody meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefragmentEtcd {
    /// The member's name.
    pub member: String,
    /// Where clients reach it.
    pub endpoint: String,
}

/// Stops static Pods and takes their manifests aside, so that nothing starts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldStaticPods {
    /// The components, in the order in which they are stopped.
    pub names: Vec<String>,
    /// The runtime's socket.
    pub socket: String,
    /// How long they may take to stop, in seconds.
    pub timeout_seconds: u64,
}

/// Puts manifests back that were taken aside, and waits until their containers run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStaticPods {
    /// The components, in the order in which they are started.
    pub names: Vec<String>,
    /// The runtime's socket.
    pub socket: String,
    /// How long they may take to start, in seconds.
    pub timeout_seconds: u64,
}

/// Makes a member's data from a snapshot, while etcd does not run; what was there
/// before is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreEtcd {
    /// Names this restore: the old data is kept under it, and one that was cut off
    /// goes on.
    pub restore: String,
    /// The snapshot.
    pub snapshot: Blob,
    /// The newest revision in it.
    pub revision: u64,
    /// Where etcdutl is.
    pub program: String,
    /// The member's name.
    pub member: String,
    /// Where other members will reach it.
    pub peer_url: String,
    /// All members of the new cluster, `name=url` each.
    pub initial_cluster: Vec<String>,
    /// etcd's data folder.
    pub data_dir: String,
}

/// Moves a member's data aside, while etcd does not run: it must not go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetEtcdAside {
    /// Names the recovery: the data is kept under it.
    pub recovery: String,
    /// etcd's data folder.
    pub data_dir: String,
}

/// Makes a member a cluster of one that keeps its data, of which a copy is kept beside
/// it. etcd does not run before, nor after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoverEtcd {
    /// Names this recovery: the copy is kept under it, and one that was cut off goes on.
    pub recovery: String,
    /// The member's name.
    pub member: String,
    /// etcd's data folder.
    pub data_dir: String,
    /// The runtime's socket.
    pub socket: String,
    /// How long etcd may take to start, in seconds.
    pub timeout_seconds: u64,
}
