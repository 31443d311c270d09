//! CoreDNS, the cluster's name server.

use serde::Serialize;

use crate::{TemplateError, engine};

/// How many replicas kubeadm starts with.
pub const DEFAULT_COREDNS_REPLICAS: u32 = 2;

/// CoreDNS: ServiceAccount, rights, ConfigMap, Deployment and the Service `kube-dns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreDns {
    /// The image with its tag.
    pub image: String,
    /// How many replicas: [`DEFAULT_COREDNS_REPLICAS`] at first, later those found.
    pub replicas: u32,
    /// The Service's address: the tenth of the service subnet.
    pub service_ip: String,
    /// The text of a [`Corefile`](crate::Corefile), or the user's own.
    pub corefile: String,
}

impl CoreDns {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("addons/coredns.yaml", self)
    }
}
