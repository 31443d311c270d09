//! A cluster that somebody else made, read for a cluster file.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;
use slipway_api::{FoundCluster, FoundNode};

use super::{ApiClient, FIELD_MANAGER, KUBE_SYSTEM, KubernetesError};

/// The label and the taint of control-plane nodes.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

impl ApiClient {
    /// Returns the cluster as it describes itself; none where kubeadm's configuration is not
    /// in it.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn found_cluster(&self) -> Result<Option<FoundCluster>, KubernetesError> {
        let document = async |name: &str, key: &str| {
            let data = self.get_config_map(KUBE_SYSTEM, name).await?;
            let text = data.and_then(|mut data| data.remove(key));
            Ok::<_, KubernetesError>(
                text.and_then(|text| serde_saphyr::from_str::<Value>(&text).ok()),
            )
        };
        let Some(cluster_configuration) =
            document("kubeadm-config", "ClusterConfiguration").await?
        else {
            return Ok(None);
        };
        let nodes = self.all::<Node>();
        let everything = ListParams::default();
        let nodes = self.call("list nodes", nodes.list(&everything)).await?;
        let flannel = self.namespaced::<DaemonSet>("kube-flannel");
        let flannel = flannel.get_metadata_opt("kube-flannel-ds");
        let flannel = self.call("look for flannel", flannel).await?;
        let metrics = self.namespaced::<Deployment>(KUBE_SYSTEM);
        let metrics = metrics.get_metadata_opt("metrics-server");
        let metrics = self.call("look for metrics-server", metrics).await?;
        Ok(Some(FoundCluster {
            api_server_version: self.server_version().await?,
            cluster_configuration,
            kubelet_configuration: document("kubelet-config", "kubelet").await?,
            kube_proxy_configuration: document("kube-proxy", "config.conf").await?,
            nodes: nodes.items.iter().map(found_node).collect(),
            has_our_flannel: flannel.is_some_and(|it| is_ours(&it)),
            has_our_metrics_server: metrics.is_some_and(|it| is_ours(&it)),
        }))
    }
}

fn is_ours(object: &impl ResourceExt) -> bool {
    let managers = object.managed_fields().iter();
    managers
        .filter_map(|it| it.manager.as_deref())
        .any(|manager| manager == FIELD_MANAGER)
}

fn found_node(node: &Node) -> FoundNode {
    let addresses = node.status.as_ref().and_then(|it| it.addresses.as_ref());
    let mut internal_ips: Vec<String> = Vec::new();
    for address in addresses.into_iter().flatten() {
        let is_v6 = |address: &str| address.contains(':');
        let is_known = internal_ips
            .iter()
            .any(|known| is_v6(known) == is_v6(&address.address));
        if address.type_ == "InternalIP" && !is_known {
            internal_ips.push(address.address.clone());
        }
    }
    let taints = node.spec.as_ref().and_then(|it| it.taints.as_ref());
    FoundNode {
        name: node.name_any(),
        internal_ips,
        is_control_plane: node.labels().contains_key(CONTROL_PLANE),
        is_tainted: taints
            .into_iter()
            .flatten()
            .any(|taint| taint.key == CONTROL_PLANE),
    }
}
