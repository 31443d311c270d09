//! One host of the cluster file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{HostFile, HostName};
use crate::Architecture;

/// A host, and the node it is to become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// The host's name in the file, and the node's name unless
    /// `hostname_override` says otherwise.
    pub name: HostName,
    /// The SSH address: an IP address or a DNS name.
    pub address: String,
    /// The node's own IP address (`internalAddress`, by default `address`).
    pub node_ip: IpAddr,
    /// Its address of the other IP family, in a dual-stack cluster.
    pub secondary_node_ip: Option<IpAddr>,
    /// Control-plane node or worker node.
    pub role: Role,
    /// SSH port, if not the default.
    pub port: Option<u16>,
    /// SSH user, if not the default.
    pub user: Option<String>,
    /// Private key, if not the default.
    pub identity_file: Option<PathBuf>,
    /// Bastions, if not the default.
    pub proxy_jump: Option<String>,
    /// Whether commands run under sudo, if not the default.
    pub sudo: Option<bool>,
    /// Password file, if not the default.
    pub password_file: Option<PathBuf>,
    /// Node labels beyond Kubernetes' own.
    pub labels: BTreeMap<String, String>,
    /// Node taints; for a control-plane node, none given means kubeadm's.
    pub taints: Option<Vec<Taint>>,
    /// Further kubelet flags, in order; repeats allowed.
    pub kubelet_extra_args: Vec<(String, String)>,
    /// The node's name where it differs from the host's.
    pub hostname_override: Option<String>,
    /// The processor architecture, where the file says it.
    pub architecture: Option<Architecture>,
    /// Files that the host is given.
    pub files: Vec<HostFile>,
}

impl HostSpec {
    /// Returns the node's own addresses, as the kubelet's `--node-ip` takes them.
    pub fn node_ips(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.node_ip).chain(self.secondary_node_ip)
    }

    /// Returns the name of the node that this host becomes.
    pub fn node_name(&self) -> &str {
        self.hostname_override
            .as_deref()
            .unwrap_or(self.name.as_str())
    }
}

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the control plane and etcd.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

/// A node taint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// Its value, possibly empty.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: TaintEffect,
}

impl std::fmt::Display for Taint {
    /// Writes `key=value:Effect`, as the kubelet's flag takes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}:{:?}", self.key, self.value, self.effect)
    }
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaintEffect {
    /// New pods are not scheduled.
    NoSchedule,
    /// New pods are scheduled elsewhere if possible.
    PreferNoSchedule,
    /// Running pods are evicted too.
    NoExecute,
}
