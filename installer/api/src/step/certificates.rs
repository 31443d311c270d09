//! Steps that make keys, certificates and kubeconfigs: recipes, never secrets.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{HostName, Sha256Digest};

/// The names and addresses that go into a control-plane node's certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPlaneNames {
    /// The node's name.
    pub node_name: String,
    /// The address the API server advertises.
    pub advertise_address: IpAddr,
    /// The first address of the Service subnet.
    pub first_service_ip: IpAddr,
    /// The cluster's DNS domain.
    pub dns_domain: String,
    /// The host of the control-plane endpoint, where there is one.
    pub endpoint_host: Option<String>,
    /// Further names and addresses of the API server.
    pub extra_sans: Vec<String>,
    /// Further names and addresses of etcd's serving certificate.
    #[serde(default)]
    pub etcd_server_sans: Vec<String>,
    /// Further names and addresses of etcd's peer certificate.
    #[serde(default)]
    pub etcd_peer_sans: Vec<String>,
    /// Whether `apiserver-kubelet-client` carries the admins' organisation.
    pub kubelet_client_is_admin: bool,
}

/// Makes a certificate authority; an existing one is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureAuthority {
    /// kubeadm's phase name: `ca`, `front-proxy-ca` or `etcd-ca`.
    pub name: String,
    /// kubeadm's `encryptionAlgorithm`.
    pub algorithm: String,
    /// For how long it is made; one that is there is kept, however long it is valid.
    #[serde(default = "ten_years")]
    pub validity_seconds: u64,
    /// Whether its key is elsewhere: then the certificate is looked at, and nothing is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_external: bool,
}

/// Makes the service account key pair; an existing one is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureServiceAccountKey {
    /// kubeadm's `encryptionAlgorithm`.
    pub algorithm: String,
}

/// Takes the cluster's authorities and service account keys from another
/// control-plane host. They pass through the workstation's memory only; the
/// step itself holds none of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyAuthorities {
    /// The control-plane host that has them.
    pub from: HostName,
    /// Which: kubeadm's phase names `ca`, `front-proxy-ca`, `etcd-ca` and `sa`.
    pub names: Vec<String>,
    /// The digest of the cluster CA's certificate, where the plan knows it.
    pub ca_sha256: Option<Sha256Digest>,
}

/// Issues a certificate of a control-plane node; one that fits is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureCertificate {
    /// kubeadm's phase name, for example `apiserver-etcd-client`.
    pub name: String,
    /// The names that go into it.
    pub names: ControlPlaneNames,
    /// kubeadm's `encryptionAlgorithm`.
    pub algorithm: String,
    /// For how long one is issued; one that is there is kept while it is valid.
    #[serde(default = "one_year")]
    pub validity_seconds: u64,
    /// Whether somebody else issues it: then it is looked at, and nothing is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_external: bool,
    /// The serial number of one that is issued anew though it fits: it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// Writes a kubeconfig with an embedded client certificate; one that fits is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureKubeconfig {
    /// The file's name without `.conf`: `admin`, `super-admin`, `controller-manager` or
    /// `scheduler`; `kubelet` where somebody else issues it.
    pub name: String,
    /// The node's name, which the kubelet's certificate has in it.
    #[serde(default)]
    pub node_name: String,
    /// The API server's URL.
    pub server: String,
    /// The cluster's name inside the file.
    pub cluster_name: String,
    /// kubeadm's `encryptionAlgorithm`.
    pub algorithm: String,
    /// For how long one is issued; one that is there is kept while it is valid.
    #[serde(default = "one_year")]
    pub validity_seconds: u64,
    /// Whether it is made only before the node's kubelet starts for the first
    /// time: later, whoever took it away meant it.
    #[serde(default)]
    pub only_at_first: bool,
    /// Whether somebody else issues it: then it is looked at, and nothing is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_external: bool,
    /// The serial number of one that is issued anew though it fits: it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// Issues the kubelet's first client certificate and writes `kubelet.conf`;
/// later ones the kubelet asks for by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureKubeletClient {
    /// The node's name.
    pub node_name: String,
    /// The API server's URL.
    pub server: String,
    /// The cluster's name inside the file.
    pub cluster_name: String,
    /// The control-plane host that signs.
    pub signer: HostName,
    /// kubeadm's `encryptionAlgorithm`.
    pub algorithm: String,
    /// For how long one is issued; one that is there is kept while it is valid.
    #[serde(default = "one_year")]
    pub validity_seconds: u64,
    /// The serial number of one that is issued anew though it fits: it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// Issues the kubelet's serving certificate at the kubelet's own default path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureKubeletServing {
    /// The node's name.
    pub node_name: String,
    /// The node's addresses.
    pub addresses: Vec<IpAddr>,
    /// The control-plane host that signs.
    pub signer: HostName,
    /// kubeadm's `encryptionAlgorithm`.
    pub algorithm: String,
    /// For how long one is issued; one that is there is kept while it is valid.
    #[serde(default = "one_year")]
    pub validity_seconds: u64,
    /// The serial number of one that is issued anew though it fits: it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// What steps written down before they said it meant.
const fn one_year() -> u64 {
    365 * 24 * 3600
}

/// As [`one_year`].
const fn ten_years() -> u64 {
    10 * one_year()
}

/// Writes `bootstrap-kubelet.conf`, with which the kubelet asks the API for its
/// client certificate; one that the kubelet has already is enough.
///
/// The token itself is in no plan: the agent was given it for discovery, and
/// holds it as long as its channel is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureKubeletBootstrap {
    /// The node's name.
    pub node_name: String,
    /// The API server's URL.
    pub server: String,
    /// The cluster's name inside the file.
    pub cluster_name: String,
    /// The certificates of the cluster's CA.
    pub ca_pem: String,
    /// The token's public half.
    pub token_id: String,
}
