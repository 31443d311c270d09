//! Renders every file and object that Slipway writes, from typed contexts.
//!
//! Pure: text in, text out. Each context is a plain struct with one `render`.
//! What is rendered for Kubernetes 1.34, 1.35 and 1.36 means the same as what the
//! kubeadm of that minor writes; the planner's test `oracle` compares them.

mod addons;
mod address;
mod checks;
mod cluster;
mod component_config_hash;
mod containerd;
mod engine;
mod error;
mod flags;
mod host;
mod json_patch;
mod kubelet;
mod merge;
mod named_paths;
mod patch;
mod quoting;
mod static_pod;
mod yaml;

pub use addons::coredns::{CoreDns, DEFAULT_COREDNS_REPLICAS};
pub use addons::corefile::Corefile;
pub use addons::flannel::{DEFAULT_VXLAN_PORT, Flannel};
pub use addons::kube_proxy::KubeProxy;
pub use addons::kube_proxy_config::KubeProxyConfig;
pub use addons::metrics_server::MetricsServer;
pub use cluster::apiserver_kubelet_client::ApiServerKubeletClient;
pub use cluster::bootstrap_token_rbac::BootstrapTokenRbac;
pub use cluster::cluster_admins::ClusterAdmins;
pub use cluster::cluster_configuration::ClusterConfiguration;
pub use cluster::cluster_info::ClusterInfo;
pub use cluster::kubeadm_config::KubeadmConfig;
pub use cluster::kubelet_config::KubeletConfigMap;
pub use containerd::config::ContainerdConfig;
pub use containerd::registry_hosts::{RegistryHosts, RegistryMirror};
pub use containerd::unit::ContainerdUnit;
pub use error::TemplateError;
pub use flags::merge_flags;
pub use host::apiserver_proxy::ApiserverProxyUnit;
pub use host::etcd_snapshot::{EtcdSnapshotService, EtcdSnapshotTimer};
pub use host::modules_load::ModulesLoad;
pub use host::service_route::ServiceRouteUnit;
pub use host::sysctl::Sysctl;
pub use kubelet::config::KubeletConfig;
pub use kubelet::drop_in::KubeletDropIn;
pub use kubelet::instance_config::KubeletInstanceConfig;
pub use kubelet::kubeadm_flags::KubeadmFlags;
pub use kubelet::unit::KubeletUnit;
pub use merge::merge;
pub use named_paths::{mounted_host_paths, named_paths};
pub use patch::{DocumentPatch, patched};
pub use static_pod::ca_certificates::CA_CERTIFICATE_DIRECTORIES;
pub use static_pod::env_var::EnvVar;
pub use static_pod::etcd::Etcd;
pub use static_pod::etcd_access::EtcdAccess;
pub use static_pod::etcd_member::EtcdMember;
pub use static_pod::host_path_volume::HostPathVolume;
pub use static_pod::kube_apiserver::KubeApiServer;
pub use static_pod::kube_controller_manager::KubeControllerManager;
pub use static_pod::kube_scheduler::KubeScheduler;
pub use static_pod::options::{DEFAULT_STARTUP_TIMEOUT_SECONDS, StaticPodOptions};
