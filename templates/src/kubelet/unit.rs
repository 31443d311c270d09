//! The systemd unit of the kubelet.

use serde::Serialize;

use crate::checks::check_path;
use crate::{TemplateError, engine};

/// The unit `kubelet.service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubeletUnit {
    /// Usually `/usr/local/bin/kubelet`.
    pub kubelet_path: String,
}

impl KubeletUnit {
    /// Returns the unit.
    ///
    /// # Errors
    ///
    /// Fails for a path that is not absolute or not one word.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_path("kubelet path", &self.kubelet_path)?;
        engine::render("kubelet/kubelet.service", self)
    }
}
