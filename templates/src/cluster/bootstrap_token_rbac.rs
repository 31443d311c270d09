//! What joining nodes may do with a bootstrap token.

use serde::Serialize;
use serde_json::json;

use crate::{TemplateError, engine};

/// The first minor whose API servers' client certificate is in no group of admins.
const FIRST_MINOR_WITH_BINDING: u32 = 36;

/// Rights of bootstrap tokens: to see nodes, to ask for a certificate and to get it,
/// and of nodes to renew theirs; from 1.36 on also those of the API servers at kubelets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootstrapTokenRbac {
    /// The minor version of Kubernetes, such as 36.
    pub kubernetes_minor: u32,
}

impl BootstrapTokenRbac {
    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let binds = self.kubernetes_minor >= FIRST_MINOR_WITH_BINDING;
        let context = json!({ "binds_apiserver_kubelet_client": binds });
        engine::render("cluster/bootstrap-token-rbac.yaml", &context)
    }
}
