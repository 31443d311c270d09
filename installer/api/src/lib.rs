//! The data that every part of Slipway shares: the cluster file, facts, steps, plans, events and run state.

mod architecture;
mod blob;
mod bundle_manifest;
mod image_reference;
mod kubernetes_version;
mod release;
mod sha256_digest;
mod spec;

pub use architecture::{Architecture, UnknownArchitecture};
pub use blob::Blob;
pub use bundle_manifest::{ArchiveMember, Artifact, BundleManifest, Image, ImageBlob};
pub use image_reference::{ImageReference, InvalidImageReference};
pub use kubernetes_version::{InvalidVersion, KubernetesVersion};
pub use release::{
    CNI_PLUGINS_VERSION, CONTAINERD_VERSION, FLANNEL_VERSION, METRICS_SERVER_VERSION, Release,
    SUPPORTED_MINORS, UnsupportedVersion,
};
pub use sha256_digest::{InvalidDigest, Sha256Digest};
pub use spec::{
    Addons, ClusterSpec, Cni, Endpoint, HostName, HostSpec, InvalidHostName, Networking, Role,
    Runtime, SshDefaults, Taint, TaintEffect,
};
