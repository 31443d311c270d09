//! A member of etcd as its peers know it.

use serde::Serialize;

/// One member of an existing etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdMember {
    /// The member's name, which is its node's name.
    pub name: String,
    /// The URL on which it listens to its peers, such as `https://192.0.2.11:2380`.
    pub peer_url: String,
}
