//! The part of the kubelet's configuration that belongs to one node.

use serde::Serialize;

use crate::{TemplateError, engine};

/// The file `/var/lib/kubelet/instance-config.yaml`, which kubeadm lays over the
/// kubelet's configuration at every upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubeletInstanceConfig {
    /// The runtime's socket, such as `unix:///run/containerd/containerd.sock`.
    pub container_runtime_endpoint: String,
}

impl KubeletInstanceConfig {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("kubelet/instance-config.yaml", self)
    }
}
