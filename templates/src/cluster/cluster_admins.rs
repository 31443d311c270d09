//! The right of `admin.conf` to do everything.

use serde::Serialize;

use crate::{TemplateError, engine};

/// The ClusterRoleBinding `kubeadm:cluster-admins`; only `super-admin.conf` can make it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterAdmins {}

impl ClusterAdmins {
    /// Returns the object.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        engine::render("cluster/cluster-admins.yaml", self)
    }
}
