//! The drop-in that makes the kubelet kubeadm's.

use serde::Serialize;

use crate::checks::check_path;
use crate::{TemplateError, engine};

/// The drop-in `kubelet.service.d/10-kubeadm.conf`, equal in effect to the one of the
/// distributions' kubeadm packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubeletDropIn {
    /// Usually `/usr/local/bin/kubelet`.
    pub kubelet_path: String,
}

impl KubeletDropIn {
    /// Returns the drop-in.
    ///
    /// # Errors
    ///
    /// Fails for a path that is not absolute or not one word.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_path("kubelet path", &self.kubelet_path)?;
        engine::render("kubelet/10-kubeadm.conf", self)
    }
}
