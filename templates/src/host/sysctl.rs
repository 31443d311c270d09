//! Kernel parameters to set at boot.

use serde::Serialize;

use crate::{TemplateError, engine};

/// A file for `/etc/sysctl.d`: forwarding, and bridged traffic through the filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sysctl {
    /// Whether Pods or Services have IPv6 addresses, which needs forwarding too.
    pub ipv6: bool,
}

impl Sysctl {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("host/sysctl.conf", self)
    }
}
