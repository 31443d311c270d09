//! containerd's configuration file.

use serde::Serialize;

use crate::{TemplateError, engine};

/// The file `/etc/containerd/config.toml` for containerd 2.x.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerdConfig {
    /// The image of the sandbox container, which is never collected.
    pub pause_image: String,
    /// Whether the host lacks CAP_SYS_RESOURCE: containers then get no better
    /// out-of-memory score than containerd has itself.
    pub restrict_oom_score_adj: bool,
}

impl ContainerdConfig {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("containerd/config.toml", self)
    }
}
