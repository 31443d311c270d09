//! A cluster that somebody else made, as far as a cluster file can describe it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A cluster as it describes itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundCluster {
    /// The API server's version.
    pub api_server_version: String,
    /// kubeadm's `ClusterConfiguration`.
    pub cluster_configuration: Value,
    /// The KubeletConfiguration that joining nodes are given, where there is one.
    pub kubelet_configuration: Option<Value>,
    /// kube-proxy's configuration, where kubeadm installed it.
    pub kube_proxy_configuration: Option<Value>,
    /// Its nodes.
    pub nodes: Vec<FoundNode>,
    /// Whether Slipway installed flannel.
    pub has_our_flannel: bool,
    /// Whether Slipway installed metrics-server.
    pub has_our_metrics_server: bool,
}

/// A node as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundNode {
    /// Its name.
    pub name: String,
    /// Its InternalIP addresses, the first of each family.
    pub internal_ips: Vec<String>,
    /// Whether it has the control plane's label.
    pub is_control_plane: bool,
    /// Whether it has the control plane's taint.
    pub is_tainted: bool,
}
