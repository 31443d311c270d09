//! The cluster file: what it may say and what it means.

mod cluster_spec;
mod defaults;
mod host_name;
mod host_spec;
mod local_files;
mod parse;
mod print;
mod spec_error;

pub use cluster_spec::{Addons, ClusterSpec, Cni, Endpoint, Networking, Runtime, SshDefaults};
pub use host_name::{HostName, InvalidHostName};
pub use host_spec::{HostSpec, Role, Taint, TaintEffect};
pub use local_files::{LocalContent, LocalFiles, LocalText};
pub use parse::ClusterFile;
pub use print::{print_cluster, print_defaults};
pub use spec_error::{Snippet, SpecError, SpecErrors};
