//! The phases of a run, in kubeadm's words and order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A phase. Names that kubeadm has are kubeadm's; the others are Slipway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Cordon, drain and delete the node (Slipway's).
    RemoveNode,
    /// Take Kubernetes off the host.
    CleanupNode,
    /// Bring what an upgrade needs, and keep what it changes (Slipway's).
    PrepareUpgrade,
    /// Move the pods of a node elsewhere for a while (Slipway's).
    DrainNode,
    /// Kernel modules, sysctls, runtime and binaries (Slipway's).
    Install,
    /// Import images (Slipway's).
    Images,
    /// Certificates.
    Certs,
    /// Kubeconfigs.
    Kubeconfig,
    /// Stacked etcd's static Pod.
    Etcd,
    /// The control plane's static Pods.
    ControlPlane,
    /// Configure and start the kubelet.
    KubeletStart,
    /// Wait until a kubelet that joins with a token has its certificate.
    KubeletWaitBootstrap,
    /// Wait for the API server.
    WaitControlPlane,
    /// Store the configuration in the cluster.
    UploadConfig,
    /// Label and taint the control-plane node.
    MarkControlPlane,
    /// Roles for joining.
    BootstrapToken,
    /// CoreDNS, kube-proxy, network and metrics addons.
    Addon,
    /// Label and taint a worker node, wait until it is Ready (Slipway's).
    NodeReady,
    /// Put a node back to what it was before a change that failed (Slipway's).
    PutBack,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 19] = [
        Self::RemoveNode,
        Self::CleanupNode,
        Self::PrepareUpgrade,
        Self::DrainNode,
        Self::Install,
        Self::Images,
        Self::Certs,
        Self::Kubeconfig,
        Self::Etcd,
        Self::ControlPlane,
        Self::KubeletStart,
        Self::KubeletWaitBootstrap,
        Self::WaitControlPlane,
        Self::UploadConfig,
        Self::MarkControlPlane,
        Self::BootstrapToken,
        Self::Addon,
        Self::NodeReady,
        Self::PutBack,
    ];

    /// Returns the phase's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RemoveNode => "remove-node",
            Self::CleanupNode => "cleanup-node",
            Self::PrepareUpgrade => "prepare-upgrade",
            Self::DrainNode => "drain-node",
            Self::Install => "install",
            Self::Images => "images",
            Self::Certs => "certs",
            Self::Kubeconfig => "kubeconfig",
            Self::Etcd => "etcd",
            Self::ControlPlane => "control-plane",
            Self::KubeletStart => "kubelet-start",
            Self::KubeletWaitBootstrap => "kubelet-wait-bootstrap",
            Self::WaitControlPlane => "wait-control-plane",
            Self::UploadConfig => "upload-config",
            Self::MarkControlPlane => "mark-control-plane",
            Self::BootstrapToken => "bootstrap-token",
            Self::Addon => "addon",
            Self::NodeReady => "node-ready",
            Self::PutBack => "put-back",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
