//! Steps about stacked etcd's members.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::HostName;

/// Makes this host's etcd a voting member beside others: added as a learner,
/// started, promoted. One that was added or started before goes on from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinEtcd {
    /// The member's name, which is its node's name.
    pub member_name: String,
    /// The address on which clients and peers reach it.
    pub address: IpAddr,
    /// The hosts whose etcd it joins: each proves with this one that they
    /// reach each other, before the member is added.
    pub peers: Vec<EtcdPeer>,
    /// The manifest, with [`JoinEtcd::INITIAL_CLUSTER_PLACEHOLDER`] where the
    /// members belong: who they are is known when the step runs.
    pub manifest: String,
    /// etcd's data folder.
    pub data_dir: String,
    /// The runtime's socket, for etcd's log.
    pub socket: String,
    /// How long etcd may take to come up and to catch up, each, in seconds.
    pub timeout_seconds: u64,
}

impl JoinEtcd {
    /// The name that stands for the members in the manifest.
    pub const PLACEHOLDER_NAME: &str = "initial";
    /// The URL that stands for the members in the manifest.
    pub const PLACEHOLDER_URL: &str = "cluster";
    /// Stands for the members in the manifest.
    pub const INITIAL_CLUSTER_PLACEHOLDER: &str = "initial=cluster";
}

/// Takes a member out of etcd, on the host of one that stays. A member that is
/// not there is out already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveEtcdMember {
    /// The member's name, which is its node's name.
    pub member_name: String,
    /// The address on which peers reach it.
    pub address: IpAddr,
}

/// A control-plane host whose etcd is a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdPeer {
    /// The host.
    pub host: HostName,
    /// Its address.
    pub address: IpAddr,
}
