//! kubeadm's `ClusterConfiguration`: what of it is not in our own document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::GoDuration;

/// kubeadm's `ClusterConfiguration` of `kubeadm.k8s.io/v1beta4` with kubeadm's
/// defaults filled in, in its own field names. Version, endpoint and networking
/// are in [`ClusterSpec`](super::ClusterSpec).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConfiguration {
    /// The etcd cluster.
    pub etcd: Etcd,
    /// kube-apiserver.
    pub api_server: ApiServer,
    /// kube-controller-manager.
    pub controller_manager: ControlPlaneComponent,
    /// kube-scheduler.
    pub scheduler: ControlPlaneComponent,
    /// CoreDNS.
    pub dns: Dns,
    /// kube-proxy.
    pub proxy: Proxy,
    /// Where images come from; `registry.k8s.io` by default.
    pub image_repository: String,
    /// kubeadm's own feature gates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// The cluster's name inside kubeconfigs; `kubernetes` by default.
    pub cluster_name: String,
    /// One of [`ENCRYPTION_ALGORITHMS`](Self::ENCRYPTION_ALGORITHMS).
    pub encryption_algorithm: String,
    /// How long certificates are valid; a year by default.
    pub certificate_validity_period: GoDuration,
    /// How long certificate authorities are valid; ten years by default.
    pub ca_certificate_validity_period: GoDuration,
}

impl ClusterConfiguration {
    /// The document's API version.
    pub const API_VERSION: &str = "kubeadm.k8s.io/v1beta4";
    /// The document's kind.
    pub const KIND: &str = "ClusterConfiguration";
    /// What `encryptionAlgorithm` may be, kubeadm's default first.
    pub const ENCRYPTION_ALGORITHMS: [&str; 5] = [
        "RSA-2048",
        "RSA-3072",
        "RSA-4096",
        "ECDSA-P256",
        "ECDSA-P384",
    ];
    /// kubeadm's default of `imageRepository`.
    pub const IMAGE_REPOSITORY: &str = "registry.k8s.io";

    /// Returns what holds where the file has no such document: kubeadm's
    /// defaults with keys that are made and used in a fraction of the time.
    pub fn without_document() -> Self {
        Self {
            encryption_algorithm: "ECDSA-P256".to_owned(),
            ..Self::default()
        }
    }
}

impl Default for ClusterConfiguration {
    /// Returns kubeadm's defaults.
    fn default() -> Self {
        Self {
            etcd: Etcd::Local(LocalEtcd::default()),
            api_server: ApiServer::default(),
            controller_manager: ControlPlaneComponent::default(),
            scheduler: ControlPlaneComponent::default(),
            dns: Dns::default(),
            proxy: Proxy::default(),
            image_repository: Self::IMAGE_REPOSITORY.to_owned(),
            feature_gates: BTreeMap::new(),
            cluster_name: "kubernetes".to_owned(),
            encryption_algorithm: Self::ENCRYPTION_ALGORITHMS[0].to_owned(),
            certificate_validity_period: GoDuration::from_hours(365 * 24),
            ca_certificate_validity_period: GoDuration::from_hours(10 * 365 * 24),
        }
    }
}

/// The etcd cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Etcd {
    /// A member on every control-plane node.
    Local(LocalEtcd),
    /// A cluster that somebody else runs.
    External(ExternalEtcd),
}

/// A member of etcd on every control-plane node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalEtcd {
    /// Where the image comes from, if not from the cluster's `imageRepository`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_repository: Option<String>,
    /// The image's tag, if not the one of the Kubernetes release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
    /// Where the data lies; `/var/lib/etcd` by default.
    pub data_dir: String,
    /// Further flags, in order; repeats allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<ExtraArg>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_envs: Vec<ExtraEnv>,
    /// Further names and addresses of the serving certificate.
    #[serde(
        default,
        rename = "serverCertSANs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub server_cert_sans: Vec<String>,
    /// Further names and addresses of the peer certificate.
    #[serde(
        default,
        rename = "peerCertSANs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub peer_cert_sans: Vec<String>,
}

impl Default for LocalEtcd {
    fn default() -> Self {
        Self {
            image_repository: None,
            image_tag: None,
            data_dir: crate::paths::ETCD_DIR.to_owned(),
            extra_args: Vec::new(),
            extra_envs: Vec::new(),
            server_cert_sans: Vec::new(),
            peer_cert_sans: Vec::new(),
        }
    }
}

/// An etcd cluster that somebody else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalEtcd {
    /// Its client URLs.
    pub endpoints: Vec<String>,
    /// Its URLs for health and metrics; `endpoints` by default, and none before
    /// Kubernetes 1.35.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_endpoints: Vec<String>,
    /// The CA of its serving certificates, on the control-plane hosts; empty for none.
    #[serde(default)]
    pub ca_file: String,
    /// The client certificate; empty for none.
    #[serde(default)]
    pub cert_file: String,
    /// The client certificate's key; empty for none.
    #[serde(default)]
    pub key_file: String,
}

/// kube-apiserver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiServer {
    /// What all components have.
    #[serde(flatten)]
    pub component: ControlPlaneComponent,
    /// Further names and addresses of the serving certificate.
    #[serde(default, rename = "certSANs", skip_serializing_if = "Vec::is_empty")]
    pub cert_sans: Vec<String>,
}

/// What a component of the control plane gets beyond kubeadm's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneComponent {
    /// Further flags, in order; repeats allowed. One takes the place of all
    /// that kubeadm has with its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<ExtraArg>,
    /// Further host paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_volumes: Vec<ExtraVolume>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_envs: Vec<ExtraEnv>,
}

/// A flag without its dashes, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraArg {
    /// The flag's name.
    pub name: String,
    /// Its value, possibly empty.
    #[serde(default)]
    pub value: String,
}

/// A path of the host inside a component's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtraVolume {
    /// The volume's name; one of kubeadm's name takes its place.
    pub name: String,
    /// The path on the host.
    pub host_path: String,
    /// The path in the container.
    pub mount_path: String,
    /// Whether the container may only read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Kubernetes' `HostPathType`; empty means that nothing is checked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path_type: String,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtraEnv {
    /// The variable's name.
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Kubernetes' `EnvVarSource` in the value's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<Value>,
}

/// CoreDNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// Where the image comes from, if not from the cluster's `imageRepository`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_repository: Option<String>,
    /// The image's tag, if not the one of the Kubernetes release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
    /// Whether CoreDNS is left to the user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

/// kube-proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Whether kube-proxy is left to the user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}
