//! The cluster file: what it may say and what it means.

mod calendar;
mod cluster_configuration;
mod cluster_spec;
mod defaults;
mod etcd_snapshots;
mod go_duration;
mod host_file;
mod host_name;
mod host_spec;
mod local_files;
mod parse;
mod patches;
mod print;
mod spec_error;
mod subnets;

pub use calendar::{CalendarExpression, InvalidCalendar};
pub use cluster_configuration::{
    ApiServer, ClusterConfiguration, ControlPlaneComponent, Dns, Etcd, ExternalEtcd, ExtraArg,
    ExtraEnv, ExtraVolume, LocalEtcd, Proxy,
};
pub use cluster_spec::{
    Addons, ClusterSpec, Cni, Endpoint, Networking, Runtime, SshDefaults, Timeouts,
};
pub use etcd_snapshots::EtcdSnapshots;
pub use go_duration::{GoDuration, InvalidDuration};
pub use host_file::HostFile;
pub use host_name::{HostName, InvalidHostName};
pub use host_spec::{HostSpec, Role, Taint, TaintEffect};
pub use local_files::{LocalContent, LocalFiles, LocalText};
pub use parse::ClusterFile;
pub use patches::{Patch, PatchKind, PatchTarget, Patches};
pub use print::{print_cluster, print_defaults};
pub use spec_error::{Snippet, SpecError, SpecErrors};
pub use subnets::{InvalidSubnets, Subnets};
