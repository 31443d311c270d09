//! metrics-server, which answers `kubectl top`.

use serde::Serialize;

use crate::{TemplateError, engine};

/// metrics-server 0.9: rights, Deployment, Service and APIService.
///
/// It verifies kubelets against the cluster's CA, so their serving certificates must
/// be signed by it and name the node's InternalIP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetricsServer {
    /// The image with its tag.
    pub image: String,
    /// How many replicas, usually 1.
    pub replicas: u32,
}

impl MetricsServer {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("addons/metrics-server.yaml", self)
    }
}
