//! The ConfigMap in which kubeadm looks up the cluster.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::cluster::cluster_configuration::ClusterConfiguration;
use crate::{TemplateError, engine};

/// The ConfigMap `kubeadm-config` and who may read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeadmConfig {
    /// What it holds.
    pub cluster_configuration: ClusterConfiguration,
    /// Annotations of the ConfigMap; kubeadm itself sets none.
    pub annotations: BTreeMap<String, String>,
}

impl KubeadmConfig {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let text = self.cluster_configuration.render()?;
        let context = json!({
            "cluster_configuration": text,
            "annotations": self.annotations,
        });
        engine::render("cluster/kubeadm-config.yaml", &context)
    }
}
