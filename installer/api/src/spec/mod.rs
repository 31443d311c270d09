//! The cluster file: what it may say and what it means.

mod cluster_spec;
mod host_name;
mod host_spec;

pub use cluster_spec::{Addons, ClusterSpec, Cni, Endpoint, Networking, Runtime, SshDefaults};
pub use host_name::{HostName, InvalidHostName};
pub use host_spec::{HostSpec, Role, Taint, TaintEffect};
