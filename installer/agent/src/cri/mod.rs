//! The container runtime as the kubelet sees it: CRI v1 over its socket.

mod cgroup_driver;
mod client;
mod container;
mod error;
mod log_tail;
mod pod_sandbox;
mod runtime_status;

pub use cgroup_driver::CgroupDriver;
pub use client::{CriClient, RuntimeVersion};
pub use container::{Container, ContainerState};
pub use error::CriError;
pub use log_tail::LogTail;
pub use pod_sandbox::PodSandbox;
pub use runtime_status::{RuntimeCondition, RuntimeStatus};
