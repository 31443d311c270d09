//! kube-proxy's configuration.

use serde::Serialize;
use serde_json::{Value, json};

use crate::address::is_ipv6;
use crate::merge::overlaid;
use crate::{TemplateError, engine, yaml};

/// The kind of the document.
const KIND: &str = "KubeProxyConfiguration";

/// kube-proxy's configuration, the key `config.conf` of its ConfigMap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeProxyConfig {
    /// The first API server's address: kube-proxy binds to the wildcard of its family.
    pub advertise_address: String,
    /// The Pod subnet; empty if there is none.
    pub cluster_cidr: String,
    /// The user's `KubeProxyConfiguration`, which wins.
    pub overlay: Option<Value>,
}

impl KubeProxyConfig {
    /// Returns the document.
    ///
    /// # Errors
    ///
    /// Fails for an overlay that is no map.
    pub fn render(&self) -> Result<String, TemplateError> {
        const TEMPLATE: &str = "addons/kube-proxy-config.yaml";
        let wildcard = match is_ipv6(&self.advertise_address) {
            true => "::",
            false => "0.0.0.0",
        };
        let context = json!({ "bind_address": wildcard, "cluster_cidr": self.cluster_cidr });
        let defaults = yaml::read(TEMPLATE, &engine::render(TEMPLATE, &context)?)?;
        let document = overlaid(KIND, defaults, self.overlay.as_ref())?;
        yaml::write(KIND, document)
    }
}
