//! Steps that speak to the Kubernetes API, from a control-plane host.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{HostName, Sha256Digest, Taint};

/// Applies objects by server-side apply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplyObjects {
    /// What they are together, for people: `kube-proxy`.
    pub name: String,
    /// The multi-document YAML.
    pub manifest: String,
    /// The digest of the manifest, shown in plans.
    pub sha256: Sha256Digest,
}

impl ApplyObjects {
    /// Returns the step that applies `manifest`.
    pub fn new(name: impl Into<String>, manifest: String) -> Self {
        let sha256 = Sha256Digest::of(&manifest);
        Self {
            name: name.into(),
            manifest,
            sha256,
        }
    }
}

/// Publishes `kube-public/cluster-info`, which joining nodes trust; the cluster
/// CA's certificate is filled in where the step runs, since it may not exist
/// when the plan is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishClusterInfo {
    /// The multi-document YAML, with [`PublishClusterInfo::CA_PLACEHOLDER`] in
    /// base64 where the certificate belongs.
    pub manifest: String,
}

impl PublishClusterInfo {
    /// Stands for the cluster CA's certificate in the manifest.
    pub const CA_PLACEHOLDER: &str = "the certificate of the cluster's CA";
}

/// Gives a node labels and taints, and takes away those that it was given so
/// earlier and that are not among them; nobody else's are touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarkNode {
    /// The node's name.
    pub node_name: String,
    /// The labels it must have.
    pub labels: BTreeMap<String, String>,
    /// The taints it must have.
    pub taints: Vec<Taint>,
}

/// Lets kubeadm's joins find the API under another address: in `kubeadm-config`
/// and `cluster-info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveEndpoint {
    /// The address that goes, `host:port`.
    pub from: String,
    /// The address that stays, `host:port`.
    pub to: String,
}

/// Waits for a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitFor {
    /// What to wait for.
    pub condition: Condition,
    /// How long, in seconds.
    pub timeout_seconds: u64,
    /// The host that must do its part, where that is another one: once it is
    /// lost, nobody waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<HostName>,
    /// Whether the wait is over once the component that is waited for has ended twice: what it
    /// depends on is there, so it will not come up by itself.
    #[serde(default)]
    pub fails_fast: bool,
    /// For how many seconds it must hold without a break.
    #[serde(default)]
    pub steady_seconds: u64,
}

/// Something that becomes true by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Condition {
    /// The kubelet on this host answers its health check.
    KubeletHealthy,
    /// The etcd member on this host votes, and answers through a quorum.
    EtcdHealthy,
    /// The API server on this host answers `/readyz`.
    ApiServerReady,
    /// The controller manager on this host answers its health check.
    ControllerManagerHealthy,
    /// The scheduler on this host answers its health check.
    SchedulerHealthy,
    /// All components of the control plane on this host answer theirs, etcd where it runs here.
    ControlPlaneHealthy,
    /// The node is Ready, and a kubelet of this version says so.
    NodeUpgraded {
        /// The node's name.
        node: String,
        /// The kubelet's version, `v1.36.3`.
        version: String,
    },
    /// A node of this name is registered.
    NodeRegistered {
        /// The node's name.
        node: String,
    },
    /// The node is Ready.
    NodeReady {
        /// The node's name.
        node: String,
    },
    /// The kubelet on this host has the client certificate that its bootstrap
    /// token asked for.
    KubeletBootstrapped {
        /// The node's name.
        node: String,
    },
    /// The node is Ready, as its own kubelet's credentials see it.
    OwnNodeReady {
        /// The node's name.
        node: String,
        /// Where the API server is whose URL is in kubelet.conf.
        api_address: SocketAddr,
    },
    /// A Deployment has all its replicas available.
    DeploymentAvailable {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KubeletHealthy => f.write_str("the kubelet is healthy"),
            Self::EtcdHealthy => f.write_str("etcd is healthy"),
            Self::ApiServerReady => f.write_str("the API server is ready"),
            Self::ControllerManagerHealthy => f.write_str("the controller manager is healthy"),
            Self::SchedulerHealthy => f.write_str("the scheduler is healthy"),
            Self::ControlPlaneHealthy => f.write_str("the whole control plane is healthy"),
            Self::NodeUpgraded { node, version } => {
                write!(f, "node {node} is Ready with {version}")
            }
            Self::NodeRegistered { node } => write!(f, "node {node} is registered"),
            Self::KubeletBootstrapped { node } => {
                write!(f, "the kubelet has a certificate for {node}")
            }
            Self::NodeReady { node } | Self::OwnNodeReady { node, .. } => {
                write!(f, "node {node} is Ready")
            }
            Self::DeploymentAvailable { namespace, name } => {
                write!(f, "Deployment {namespace}/{name} is available")
            }
        }
    }
}

/// Cordons a node and evicts its pods, respecting PodDisruptionBudgets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainNode {
    /// The node's name; one that does not exist counts as drained.
    pub node_name: String,
    /// How long, in seconds.
    pub timeout_seconds: u64,
    /// Whether pods with emptyDir volumes may be evicted.
    pub delete_empty_dir_data: bool,
    /// Whether the node comes back: then it is noted on it who cordoned it, and
    /// [`UncordonNode`](super::UncordonNode) undoes that and no other cordon.
    #[serde(default)]
    pub comes_back: bool,
}

/// Deletes a Node object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeleteNode {
    /// The node's name.
    pub node_name: String,
}
