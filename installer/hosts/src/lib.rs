//! Reaches a host: over SSH, locally in-process, or as a fake for tests.

pub mod agent;
mod error;
mod fake_host;
mod forward;
mod host;
mod linked;
mod local_host;
pub mod resolve;
mod secret;
pub mod ssh;
mod ssh_host;

pub use error::HostError;
pub use fake_host::{FakeHost, Fault};
pub use forward::{Forward, ForwardChange, ForwardProbe};
pub use host::{BlobReader, EventSink, Host, ProgressSink};
pub use local_host::LocalHost;
pub use secret::Secret;
pub use ssh_host::SshHost;
