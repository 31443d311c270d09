//! etcd as steps and facts need it: one client for one member, bounded calls, plain sentences.

mod client;
mod credentials;
mod endpoint;
mod error;
mod gather;
mod health;
mod membership;
mod snapshot;
mod snapshot_file;
mod snapshot_folder;

pub use client::EtcdClient;
pub use credentials::EtcdCredentials;
pub use endpoint::LOCAL_ENDPOINT;
pub(crate) use endpoint::located;
pub use error::EtcdError;
pub(crate) use gather::gather_etcd_facts;
pub use snapshot::SnapshotStream;
pub use snapshot_file::{SnapshotFile, SnapshotFileError};
pub use snapshot_folder::SnapshotFolder;
