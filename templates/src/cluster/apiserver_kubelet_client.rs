//! The right of API servers to ask kubelets.

use serde::Serialize;

use crate::{TemplateError, engine};

/// The ClusterRoleBinding `kubeadm:apiserver-kubelet-client`.
///
/// From 1.36 on the API servers' client certificate names no organisation. On the way
/// there this binding must exist before the first such certificate does: without it
/// logs and exec answer "forbidden".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiServerKubeletClient {}

impl ApiServerKubeletClient {
    /// Returns the object.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("cluster/apiserver-kubelet-client.yaml", self)
    }
}
