//! kube-proxy on every node.

use serde::Serialize;
use serde_json::json;

use crate::addons::kube_proxy_config::KubeProxyConfig;
use crate::component_config_hash::component_config_hash;
use crate::static_pod::env_var::{self, EnvVar};
use crate::{TemplateError, engine};

/// kube-proxy: ServiceAccount, rights, ConfigMap and DaemonSet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeProxy {
    /// The image with its tag.
    pub image: String,
    /// The API server's URL as nodes reach it without kube-proxy.
    pub server: String,
    /// Its configuration.
    pub config: KubeProxyConfig,
    /// Proxy variables of the host; a `value_from` is not looked at.
    pub envs: Vec<EnvVar>,
}

impl KubeProxy {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let config = self.config.render()?;
        let kubeconfig = engine::render(
            "addons/kube-proxy-kubeconfig.yaml",
            &json!({ "server": self.server }),
        )?;
        let generated = self.config.overlay.is_none();
        let hash = component_config_hash(&[&config, &kubeconfig]);
        let context = json!({
            "image": self.image,
            "config_hash": hash,
            "hash": generated.then_some(&hash),
            "config": config,
            "kubeconfig": kubeconfig,
            "env": env_var::merged(&self.envs),
        });
        engine::render("addons/kube-proxy.yaml", &context)
    }
}
