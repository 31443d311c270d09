//! Throwaway hosts in containers on this machine: Debian with systemd and sshd, and nothing of Kubernetes.

mod cluster_file;
mod command;
mod directories;
mod engine;
mod error;
mod firewall;
mod host;
mod host_container;
mod image;
mod lab;
mod lab_lock;
mod lab_record;
mod lab_removal;
mod lab_spec;
mod machine;
mod probe;
mod progress;
mod recipe;
mod subnet;
mod watches;

pub use command::CommandOutput;
pub use engine::{Engine, EngineKind};
pub use error::LabError;
pub use host::{HostState, LabHost};
pub use lab::{Lab, LabSummary};
pub use lab_removal::Removed;
pub use lab_spec::LabSpec;
pub use progress::Progress;
