//! How a machine finds the cluster that it joins by itself, and what it learns there.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Endpoint, KubernetesVersion, SecretText, Subnets};

/// The annotation of the ConfigMap `kube-system/kubeadm-config` that says what
/// Slipway calls the cluster.
pub const CLUSTER_NAME_ANNOTATION: &str = "slipway.dev/cluster";

/// What a machine knows of a cluster before it joins: kubeadm's token discovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovery {
    /// The API server, as the user named it.
    pub endpoint: Endpoint,
    /// The addresses that its name has.
    pub addresses: Vec<IpAddr>,
    /// The bootstrap token.
    pub token: SecretText,
    /// Pins of the CA's public key, `sha256:` and lower-case hexadecimal
    /// digits; none means that the token's signature alone is believed.
    pub ca_pins: Vec<String>,
    /// The name that the node will have.
    pub node_name: String,
}

/// A cluster as a bootstrap token shows it. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredCluster {
    /// What Slipway calls the cluster, or else its `clusterName`.
    pub name: String,
    /// Whether Slipway made it.
    pub is_ours: bool,
    /// The `clusterName` in its kubeconfigs.
    pub kubeconfig_name: String,
    /// The API server's URL, for kubeconfigs.
    pub server: String,
    /// Where the API server answered.
    pub api_address: SocketAddr,
    /// The address of this machine from which it asked.
    pub own_address: IpAddr,
    /// The certificates of the cluster's CA, PEM.
    pub ca_pem: String,
    /// The pins of those certificates.
    pub ca_pins: Vec<String>,
    /// The version of the control plane, by the cluster's configuration.
    pub kubernetes_version: KubernetesVersion,
    /// The version of the API server that answered.
    pub api_server_version: String,
    /// The Services' subnet or subnets.
    pub service_subnet: Subnets,
    /// The pods' subnet or subnets, where the cluster's configuration has any.
    #[serde(default)]
    pub pod_subnet: Option<Subnets>,
    /// The cluster's DNS domain.
    pub dns_domain: String,
    /// The kubelets' configuration.
    pub kubelet_configuration: Value,
    /// Whether its nodes reach the API through balancers of their own: kube-proxy does.
    #[serde(default)]
    pub is_balanced: bool,
    /// Whether a node of the name that was asked for is there and Ready.
    pub node_is_ready: bool,
}
