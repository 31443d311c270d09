//! Mirrors of an image registry.

use serde::Serialize;

use crate::{TemplateError, engine};

/// The file `/etc/containerd/certs.d/<registry>/hosts.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryHosts {
    /// The registry's own URL, asked when no mirror answers.
    pub server: String,
    /// Mirrors in the order they are asked.
    pub mirrors: Vec<RegistryMirror>,
}

/// One mirror of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryMirror {
    /// Its URL.
    pub url: String,
    /// The CA of its certificate; empty for those of the host.
    pub ca_file: String,
    /// Whether its certificate is not verified.
    pub skip_verify: bool,
    /// Whether the URL already holds the path of the registry API.
    pub override_path: bool,
}

impl RegistryHosts {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("containerd/hosts.toml", self)
    }
}
