//! What a joining node may know before it is trusted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

use crate::{TemplateError, engine};

/// The ConfigMap `kube-public/cluster-info` and everybody's right to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterInfo {
    /// The API server's URL.
    pub server: String,
    /// The cluster's CA certificates, PEM.
    pub ca_certificates_pem: String,
}

impl ClusterInfo {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let context = json!({
            "server": self.server,
            "certificate_authority_data": STANDARD.encode(&self.ca_certificates_pem),
        });
        engine::render("cluster/cluster-info.yaml", &context)
    }
}
