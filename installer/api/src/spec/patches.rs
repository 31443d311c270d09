//! Patches over what Slipway renders, in kubeadm's way of naming them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A folder of patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patches {
    /// The folder as it is written.
    pub directory: PathBuf,
    /// The patches in the order in which they are applied, that of their
    /// files' names; none while nobody read the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<Vec<Patch>>,
}

/// One document of a file of patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// The file's name.
    pub file: String,
    /// What is patched.
    pub target: PatchTarget,
    /// How.
    pub kind: PatchKind,
    /// The patch itself.
    pub document: Value,
}

/// What can be patched, in kubeadm's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchTarget {
    /// The static Pod of etcd.
    Etcd,
    /// The static Pod of kube-apiserver.
    KubeApiserver,
    /// The static Pod of kube-controller-manager.
    KubeControllerManager,
    /// The static Pod of kube-scheduler.
    KubeScheduler,
    /// The kubelet's configuration, on every node.
    #[serde(rename = "kubeletconfiguration")]
    KubeletConfiguration,
    /// CoreDNS' Deployment.
    #[serde(rename = "corednsdeployment")]
    CoreDnsDeployment,
}

impl PatchTarget {
    /// All targets.
    pub const ALL: [Self; 6] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::KubeletConfiguration,
        Self::CoreDnsDeployment,
    ];

    /// Returns kubeadm's name, with which a file of patches begins.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::KubeletConfiguration => "kubeletconfiguration",
            Self::CoreDnsDeployment => "corednsdeployment",
        }
    }
}

impl fmt::Display for PatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a patch is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchKind {
    /// A JSON Patch (RFC 6902).
    Json,
    /// A JSON Merge Patch (RFC 7386).
    Merge,
}
