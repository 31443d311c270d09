//! The names and addresses under which a control-plane node is reached.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What the certificates of one control-plane node depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneNames {
    /// Name of the node.
    pub node_name: String,
    /// Address that the API server and etcd advertise.
    pub advertise_address: IpAddr,
    /// First address of the (first) service subnet: the Service `kubernetes`.
    pub first_service_ip: IpAddr,
    /// The cluster's DNS domain, for example `cluster.local`.
    pub dns_domain: String,
    /// `controlPlaneEndpoint`, as `host` or `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane_endpoint: Option<String>,
    /// Further DNS names and IP addresses of the API server: `apiServer.certSANs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_sans: Vec<String>,
    /// Further DNS names and IP addresses of etcd for clients: `etcd.local.serverCertSANs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd_server_sans: Vec<String>,
    /// Further DNS names and IP addresses of etcd for members: `etcd.local.peerCertSANs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd_peer_sans: Vec<String>,
    /// Whether `apiserver-kubelet-client` is in the group `kubeadm:cluster-admins`: so in the
    /// minors 1.34 and 1.35, no longer in 1.36, where a ClusterRoleBinding of its own replaces it.
    #[serde(default)]
    pub kubelet_client_in_admins_group: bool,
}
