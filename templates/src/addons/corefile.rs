//! CoreDNS' configuration.

use serde::Serialize;

use crate::checks::check_dns_name;
use crate::{TemplateError, engine};

/// The Corefile that kubeadm writes for CoreDNS 1.12 to 1.14.
///
/// Equal to the byte: kubeadm replaces a Corefile at an upgrade only where it is one
/// of its own defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Corefile {
    /// Usually `cluster.local`.
    pub dns_domain: String,
}

impl Corefile {
    /// Returns the text.
    ///
    /// # Errors
    ///
    /// Fails for a domain that is no DNS name.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_dns_name("DNS domain", &self.dns_domain)?;
        engine::render("addons/Corefile", self)
    }
}
