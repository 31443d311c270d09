//! Images in containerd, through its own API rather than CRI, which can only pull.

mod chain_id;
mod client;
mod content;
mod error;
pub(crate) mod grpc;
mod image_import;
mod lease;
mod runtime_image;
mod unpack;

pub use client::ContainerdClient;
pub use error::ContainerdError;
pub use runtime_image::RuntimeImage;
