//! Reading the cluster file: YAML to a tree with positions, the tree to a
//! draft, the draft to a [`ClusterSpec`](super::ClusterSpec), collecting every
//! error on the way.
//!
//! Supported: several documents, anchors, aliases and merge keys within a
//! budget, JSON. Not supported: tags other than `!!str`, `!!map` and `!!seq`,
//! keys that are not text, and a key given twice.

mod address;
mod agreement;
mod build;
mod cluster;
mod cluster_file;
mod components;
mod documents;
mod etcd_snapshots;
mod fields;
mod files;
mod given;
mod host;
mod json;
mod kubeadm;
mod kubelet_args;
mod manifests;
mod names;
mod networking;
mod patches;
mod problems;
mod runtime;
mod schema;
mod source;
mod ssh;
mod subnets;
mod timeouts;
mod tree;
mod value;

pub use cluster_file::ClusterFile;
