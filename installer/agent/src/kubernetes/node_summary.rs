//! Nodes in short.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use slipway_api::NodeFacts;

use super::{ApiClient, KubernetesError};

/// The prefix of labels that name a node's roles.
const ROLE_LABEL_PREFIX: &str = "node-role.kubernetes.io/";

/// A node in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSummary {
    /// Its name.
    pub name: String,
    /// Whether it is Ready.
    pub ready: bool,
    /// Its roles, sorted.
    pub roles: Vec<String>,
    /// Its kubelet's version, for example `v1.36.3`.
    pub kubelet_version: String,
    /// Its InternalIP.
    pub internal_ip: Option<String>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// The part of the pods' subnet that is its own.
    pub pod_subnet: Option<String>,
    /// Its operating system, as os-release names it.
    pub os_image: String,
    /// Its container runtime, for example `containerd://2.4.2`.
    pub container_runtime: String,
    /// When it was registered.
    pub created_at: Option<Timestamp>,
}

impl From<NodeSummary> for NodeFacts {
    fn from(node: NodeSummary) -> Self {
        Self {
            name: node.name,
            ready: node.ready,
            roles: node.roles,
            kubelet_version: node.kubelet_version,
            internal_ip: node.internal_ip,
            unschedulable: node.unschedulable,
            pod_subnet: node.pod_subnet,
        }
    }
}

impl From<Node> for NodeSummary {
    fn from(node: Node) -> Self {
        let mut roles: Vec<String> = node
            .labels()
            .keys()
            .filter_map(|label| label.strip_prefix(ROLE_LABEL_PREFIX))
            .filter(|role| !role.is_empty())
            .map(str::to_owned)
            .collect();
        roles.sort();
        let name = node.name_any();
        let created_at = node.creation_timestamp().map(|time| time.0);
        let spec = node.spec.unwrap_or_default();
        let status = node.status.unwrap_or_default();
        let ready = is_status_ready(&status);
        let internal_ip = status
            .addresses
            .into_iter()
            .flatten()
            .find(|address| address.type_ == "InternalIP")
            .map(|address| address.address);
        let info = status.node_info.unwrap_or_default();
        Self {
            name,
            ready,
            roles,
            kubelet_version: info.kubelet_version,
            internal_ip,
            unschedulable: spec.unschedulable.unwrap_or(false),
            pod_subnet: spec.pod_cidr,
            os_image: info.os_image,
            container_runtime: info.container_runtime_version,
            created_at,
        }
    }
}

/// Returns whether a node's status says that it is Ready.
pub(super) fn is_status_ready(status: &k8s_openapi::api::core::v1::NodeStatus) -> bool {
    let conditions = status.conditions.iter().flatten();
    conditions
        .filter(|condition| condition.type_ == "Ready")
        .any(|condition| condition.status == "True")
}

impl ApiClient {
    /// Returns all nodes, sorted by name.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn nodes(&self) -> Result<Vec<NodeSummary>, KubernetesError> {
        let api = self.all::<Node>();
        let listed = self
            .call("list nodes", api.list(&ListParams::default()))
            .await?;
        let mut nodes: Vec<NodeSummary> = listed.items.into_iter().map(Into::into).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Deletes a Node object and returns whether there was one.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn delete_node(&self, name: &str) -> Result<bool, KubernetesError> {
        let api = self.all::<Node>();
        let parameters = DeleteParams::default();
        let deleted = api.delete(name, &parameters);
        match self.call(&format!("delete node {name}"), deleted).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_summed_up() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {
                "name": "cp-1",
                "creationTimestamp": "2026-11-21T09:00:00Z",
                "labels": {
                    "node-role.kubernetes.io/control-plane": "",
                    "kubernetes.io/hostname": "cp-1",
                },
            },
            "spec": { "unschedulable": true, "podCIDR": "10.244.3.0/24" },
            "status": {
                "conditions": [ { "type": "Ready", "status": "True" } ],
                "addresses": [
                    { "type": "Hostname", "address": "cp-1" },
                    { "type": "InternalIP", "address": "192.0.2.11" },
                ],
            },
        }))
        .unwrap();
        let summary = NodeSummary::from(node);
        assert_eq!(summary.roles, ["control-plane"]);
        assert_eq!(summary.internal_ip.as_deref(), Some("192.0.2.11"));
        assert!(summary.ready && summary.unschedulable);
        assert_eq!(summary.pod_subnet.as_deref(), Some("10.244.3.0/24"));
        assert_eq!(
            summary.created_at,
            Some("2026-11-21T09:00:00Z".parse().unwrap())
        );
    }
}
