//! Kernel modules to load at boot.

use serde::Serialize;

use crate::{TemplateError, engine};

/// A file for `/etc/modules-load.d`: `overlay` and `br_netfilter`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModulesLoad {}

impl ModulesLoad {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("host/modules-load.conf", self)
    }
}
