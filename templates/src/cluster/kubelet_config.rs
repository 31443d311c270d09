//! The ConfigMap from which joining nodes take the kubelet's configuration.

use serde::Serialize;
use serde_json::json;

use crate::component_config_hash::component_config_hash;
use crate::kubelet::config::KubeletConfig;
use crate::{TemplateError, engine};

/// The ConfigMap `kubelet-config` and who may read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeletConfigMap {
    /// What it holds, without what belongs to one node (`resolv_conf` and
    /// `container_runtime_endpoint`).
    pub kubelet_config: KubeletConfig,
}

impl KubeletConfigMap {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let text = self.kubelet_config.shared().render()?;
        let generated = self.kubelet_config.overlay.is_none();
        let context = json!({
            "hash": generated.then(|| component_config_hash(&[&text])),
            "kubelet": text,
        });
        engine::render("cluster/kubelet-config.yaml", &context)
    }
}
