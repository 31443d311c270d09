//! What runs on a host: gathers facts, checks and applies steps, serves requests on stdio.

mod before;
mod blob_store;
mod certificate_requests;
mod certificate_upload;
mod cluster;
mod command;
pub mod containerd;
mod context;
pub mod cri;
mod dispatch;
mod error;
pub mod etcd;
mod etcd_ports;
mod facts;
mod files;
mod help;
mod journal;
mod kubelet_serving;
pub mod kubernetes;
mod lock;
mod netfilter;
mod placed_files;
mod probes;
mod processes;
mod same_manifest;
mod server;
mod start_record;
mod steps;
mod stored_cluster;
mod tidy;
mod tokens;
mod user_certificate;

pub use certificate_requests::write_certificate_requests;
pub use error::AgentError;
pub use server::serve;
