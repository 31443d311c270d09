//! Where Kubernetes comes from: release sources, OCI images and bundle files.
