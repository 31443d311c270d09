//! The kubeconfigs in `/etc/kubernetes` and the identities in them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CLUSTER_ADMINS_GROUP, NODE_USER_PREFIX, NODES_GROUP, SYSTEM_MASTERS_GROUP};
use crate::CertificateProfile;

/// A kubeconfig that kubeadm writes, named as its `init phase kubeconfig` names it.
///
/// Source: kubeadm `phases/kubeconfig/kubeconfig.go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KubeconfigName {
    /// The administrators, through RBAC.
    Admin,
    /// The administrator whom RBAC cannot lock out; only on the first control-plane node.
    SuperAdmin,
    /// The kubelet of a control-plane node, until it has its own client certificate.
    Kubelet,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
}

impl KubeconfigName {
    /// All kubeconfigs in kubeadm's order.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::SuperAdmin,
        Self::Kubelet,
        Self::ControllerManager,
        Self::Scheduler,
    ];

    /// Returns the name of kubeadm's phase, for example `controller-manager`.
    pub fn phase_name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::SuperAdmin => "super-admin",
            Self::Kubelet => "kubelet",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
        }
    }

    /// Returns the file's name in `/etc/kubernetes`, for example `admin.conf`.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Admin => "admin.conf",
            Self::SuperAdmin => "super-admin.conf",
            Self::Kubelet => "kubelet.conf",
            Self::ControllerManager => "controller-manager.conf",
            Self::Scheduler => "scheduler.conf",
        }
    }

    /// Returns whether the file names the API server of its own node rather than
    /// `controlPlaneEndpoint`: so for everything that runs on the node, lest a component be newer
    /// than the API server it happens to reach.
    pub fn uses_local_endpoint(self) -> bool {
        match self {
            Self::Admin | Self::SuperAdmin => false,
            Self::Kubelet | Self::ControllerManager | Self::Scheduler => true,
        }
    }

    /// Returns the user in the file, on the node of that name.
    pub fn user_name(self, node_name: &str) -> String {
        match self {
            Self::Admin => "kubernetes-admin".to_owned(),
            Self::SuperAdmin => "kubernetes-super-admin".to_owned(),
            Self::Kubelet => format!("{NODE_USER_PREFIX}{node_name}"),
            Self::ControllerManager => "system:kube-controller-manager".to_owned(),
            Self::Scheduler => "system:kube-scheduler".to_owned(),
        }
    }

    /// Returns what the client certificate in the file says, on the node of that name.
    pub fn profile(self, node_name: &str) -> CertificateProfile {
        let organizations: &[&str] = match self {
            Self::Admin => &[CLUSTER_ADMINS_GROUP],
            Self::SuperAdmin => &[SYSTEM_MASTERS_GROUP],
            Self::Kubelet => &[NODES_GROUP],
            Self::ControllerManager | Self::Scheduler => &[],
        };
        CertificateProfile::client(self.user_name(node_name), organizations)
    }
}

impl fmt::Display for KubeconfigName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phase_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_those_of_kubeadm() {
        for (name, user, organizations) in [
            (
                KubeconfigName::Admin,
                "kubernetes-admin",
                vec!["kubeadm:cluster-admins"],
            ),
            (
                KubeconfigName::SuperAdmin,
                "kubernetes-super-admin",
                vec!["system:masters"],
            ),
            (
                KubeconfigName::Kubelet,
                "system:node:cp-1",
                vec!["system:nodes"],
            ),
            (
                KubeconfigName::ControllerManager,
                "system:kube-controller-manager",
                vec![],
            ),
            (KubeconfigName::Scheduler, "system:kube-scheduler", vec![]),
        ] {
            let profile = name.profile("cp-1");
            assert_eq!(profile.common_name, user);
            assert_eq!(profile.organizations, organizations);
            assert!(profile.client_auth && !profile.server_auth);
            assert_eq!(name.file_name(), format!("{name}.conf"));
        }
    }
}
