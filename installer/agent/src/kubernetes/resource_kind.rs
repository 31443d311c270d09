//! Where the API server keeps objects of a kind.

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;

use super::api_client::build;
use super::{ApiClient, KubernetesError};

/// The plural name under which a kind is served, and whether its objects live
/// in namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceKind {
    /// The plural name.
    pub(super) plural: String,
    /// Whether objects live in namespaces.
    pub(super) is_namespaced: bool,
}

/// Kubernetes' own kinds that manifests contain, so that asking the API
/// server is only needed for the rest: API version, kind, plural, namespaced.
const BUILT_IN: &[(&str, &str, &str, bool)] = &[
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Endpoints", "endpoints", true),
    ("v1", "LimitRange", "limitranges", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "PersistentVolume", "persistentvolumes", false),
    (
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        true,
    ),
    ("v1", "Pod", "pods", true),
    ("v1", "ResourceQuota", "resourcequotas", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
    (
        "apiregistration.k8s.io/v1",
        "APIService",
        "apiservices",
        false,
    ),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "ReplicaSet", "replicasets", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        true,
    ),
    ("batch/v1", "CronJob", "cronjobs", true),
    ("batch/v1", "Job", "jobs", true),
    ("coordination.k8s.io/v1", "Lease", "leases", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    (
        "networking.k8s.io/v1",
        "IngressClass",
        "ingressclasses",
        false,
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    ("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", false),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        true,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "clusterroles",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rolebindings",
        true,
    ),
    (
        "scheduling.k8s.io/v1",
        "PriorityClass",
        "priorityclasses",
        false,
    ),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", false),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
];

impl ResourceKind {
    /// Returns the place of a built-in kind.
    pub(super) fn built_in(api_version: &str, kind: &str) -> Option<Self> {
        BUILT_IN
            .iter()
            .find(|entry| entry.0 == api_version && entry.1 == kind)
            .map(|entry| Self {
                plural: entry.2.to_owned(),
                is_namespaced: entry.3,
            })
    }
}

impl ApiClient {
    /// Returns the place of any kind, asking the API server about kinds that
    /// are not built in.
    pub(super) async fn resource_kind(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<ResourceKind, KubernetesError> {
        if let Some(known) = ResourceKind::built_in(api_version, kind) {
            return Ok(known);
        }
        let unknown = || KubernetesError::UnknownKind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        let request = build(Request::get(group_path(api_version)), Vec::new());
        let doing = format!("ask which kinds {api_version} has");
        let served = match self.send::<APIResourceList>(&doing, request).await {
            Err(error) if error.is_not_found() => return Err(unknown()),
            answer => answer?,
        };
        // Subresources carry a kind too, `deployments/scale` for example.
        let found = served
            .resources
            .into_iter()
            .find(|resource| resource.kind == kind && !resource.name.contains('/'));
        let found = found.ok_or_else(unknown)?;
        Ok(ResourceKind {
            plural: found.name,
            is_namespaced: found.namespaced,
        })
    }
}

/// Returns the URL path of an API version: the core group has a path of its own.
pub(super) fn group_path(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_group_has_its_own_path() {
        assert_eq!(group_path("v1"), "/api/v1");
        assert_eq!(group_path("apps/v1"), "/apis/apps/v1");
    }

    #[test]
    fn a_kind_is_known_only_in_its_version() {
        assert!(ResourceKind::built_in("apps/v1", "Deployment").is_some());
        assert!(ResourceKind::built_in("apps/v1beta1", "Deployment").is_none());
    }
}
