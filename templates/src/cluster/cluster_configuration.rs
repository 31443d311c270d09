//! kubeadm's description of a cluster.

use serde::Serialize;
use serde_json::{Value, json};

use crate::merge::{merge, overlaid};
use crate::{TemplateError, engine, yaml};

/// kubeadm's `ClusterConfiguration`, version `kubeadm.k8s.io/v1beta4`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterConfiguration {
    /// Such as `v1.36.3`.
    pub kubernetes_version: String,
    /// `host:port`, or empty.
    pub control_plane_endpoint: String,
    /// One CIDR, two separated by a comma, or empty.
    pub pod_subnet: String,
    /// One CIDR, or two separated by a comma.
    pub service_subnet: String,
    /// Usually `cluster.local`.
    pub dns_domain: String,
    /// Usually `kubernetes`.
    pub cluster_name: String,
    /// Usually `/etc/kubernetes/pki`.
    pub certificates_dir: String,
    /// Usually `registry.k8s.io`.
    pub image_repository: String,
    /// `RSA-2048`, `RSA-3072`, `RSA-4096`, `ECDSA-P256` or `ECDSA-P384`.
    pub encryption_algorithm: String,
    /// How long certificates are valid, as Go writes it: usually `8760h0m0s`.
    pub certificate_validity_period: String,
    /// How long CA certificates are valid: usually `87600h0m0s`.
    pub ca_certificate_validity_period: String,
    /// Usually `/var/lib/etcd`; left out where the overlay names an external etcd.
    pub etcd_data_dir: String,
    /// Names and addresses of the API servers' certificates beyond kubeadm's own;
    /// those that the overlay lacks are added to it.
    pub cert_sans: Vec<String>,
    /// The user's `ClusterConfiguration`, which wins, its version excepted.
    pub overlay: Option<Value>,
}

impl ClusterConfiguration {
    /// Returns the document.
    ///
    /// # Errors
    ///
    /// Fails for an overlay that is no map.
    pub fn render(&self) -> Result<String, TemplateError> {
        const TEMPLATE: &str = "cluster/cluster-configuration.yaml";
        const KIND: &str = "ClusterConfiguration";
        let overlay = self.overlay.as_ref();
        let mut context = json!(self);
        if overlay.is_some_and(names_external_etcd) {
            context["etcd_data_dir"] = Value::from("");
        }
        let defaults = yaml::read(TEMPLATE, &engine::render(TEMPLATE, &context)?)?;
        let mut document = overlaid(KIND, defaults, overlay)?;
        // An upgrade moves the version while the user's document may still name the old one.
        document["kubernetesVersion"] = Value::from(self.kubernetes_version.as_str());
        self.add_cert_sans(&mut document);
        yaml::write(KIND, document)
    }

    fn add_cert_sans(&self, document: &mut Value) {
        let mut names = match document.pointer("/apiServer/certSANs") {
            Some(Value::Array(names)) => names.clone(),
            Some(_) | None => Vec::new(),
        };
        for name in self.cert_sans.iter().map(|name| Value::from(name.as_str())) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if !names.is_empty() {
            let added = json!({"apiServer": {"certSANs": names}});
            *document = merge(document.take(), added);
        }
    }
}

fn names_external_etcd(configuration: &Value) -> bool {
    let external = configuration.pointer("/etcd/external");
    external.is_some_and(Value::is_object)
}
