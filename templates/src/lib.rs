//! Renders every file and object that Slipway writes, from typed contexts.
//!
//! Pure: text in, text out. Each context is a plain struct with one `render`.
//! What is rendered for Kubernetes 1.34, 1.35 and 1.36 means the same as what the
//! kubeadm of that minor writes; `tests/kubeadm_oracle.rs` compares them.

mod address;
mod engine;
mod error;
mod flags;
mod quoting;
mod static_pod;

pub use error::TemplateError;
pub use flags::merge_flags;
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
