//! The kubelet's configuration file.

use serde::Serialize;
use serde_json::{Value, json};

use crate::merge::overlaid;
use crate::{TemplateError, engine, yaml};

/// The kind of the document.
const KIND: &str = "KubeletConfiguration";

/// The kubelet's configuration, `/var/lib/kubelet/config.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeletConfig {
    /// Usually `/etc/kubernetes/pki`.
    pub certificates_dir: String,
    /// The address of the `kube-dns` Service: the tenth of the service subnet.
    pub cluster_dns: Vec<String>,
    /// Usually `cluster.local`.
    pub cluster_domain: String,
    /// `/run/systemd/resolve/resolv.conf` where systemd-resolved runs.
    pub resolv_conf: Option<String>,
    /// The runtime's socket, such as `unix:///run/containerd/containerd.sock`.
    pub container_runtime_endpoint: Option<String>,
    /// The user's `KubeletConfiguration`, which wins.
    pub overlay: Option<Value>,
}

impl KubeletConfig {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails for an overlay that is no map.
    pub fn render(&self) -> Result<String, TemplateError> {
        yaml::write(KIND, self.document()?)
    }

    /// Returns what all nodes share: without the fields that belong to one node.
    pub(crate) fn shared(&self) -> Self {
        Self {
            resolv_conf: None,
            container_runtime_endpoint: None,
            ..self.clone()
        }
    }

    fn document(&self) -> Result<Value, TemplateError> {
        const TEMPLATE: &str = "kubelet/config.yaml";
        let context = json!({
            "client_ca_file": format!("{}/ca.crt", self.certificates_dir),
            "cluster_dns": self.cluster_dns,
            "cluster_domain": self.cluster_domain,
            "resolv_conf": self.resolv_conf,
        });
        let defaults = yaml::read(TEMPLATE, &engine::render(TEMPLATE, &context)?)?;
        let mut document = overlaid(KIND, defaults, self.overlay.as_ref())?;
        // kubeadm cannot tell "false" from "not set" here and rotates always.
        document["rotateCertificates"] = Value::from(true);
        if let Some(endpoint) = &self.container_runtime_endpoint {
            // kubeadm lays the node's own instance-config.yaml over everything else.
            document["containerRuntimeEndpoint"] = Value::from(endpoint.as_str());
        }
        Ok(document)
    }
}
