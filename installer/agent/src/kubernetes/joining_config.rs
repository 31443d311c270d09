//! What a bootstrap token may read of a cluster, and a joining machine needs.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::Value;
use slipway_api::{CLUSTER_NAME_ANNOTATION, KubernetesVersion, Subnets};

use super::node_summary::is_status_ready;
use super::{ApiClient, DiscoveryError, KUBE_SYSTEM, KubernetesError};

/// The ConfigMap with the cluster's configuration.
const KUBEADM_CONFIG: &str = "kubeadm-config";
/// The ConfigMap with the kubelets' configuration.
const KUBELET_CONFIG: &str = "kubelet-config";
/// The ConfigMap with kube-proxy's kubeconfig.
const KUBE_PROXY: &str = "kube-proxy";
/// What it names where nodes have balancers of their own.
const BALANCER: &str = "server: https://127.0.0.1:6443";
/// kubeadm's default for `networking.serviceSubnet`.
const SERVICE_SUBNET: &str = "10.96.0.0/12";

/// What joining needs to know of a cluster.
pub(super) struct JoiningConfig {
    pub(super) name: String,
    pub(super) is_ours: bool,
    pub(super) cluster_name: String,
    pub(super) kubernetes_version: KubernetesVersion,
    pub(super) api_server_version: String,
    pub(super) service_subnet: Subnets,
    pub(super) pod_subnet: Option<Subnets>,
    pub(super) dns_domain: String,
    pub(super) kubelet_configuration: Value,
    pub(super) is_balanced: bool,
    endpoint: String,
    token_id: String,
}

/// kubeadm's document, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterConfiguration {
    kubernetes_version: String,
    #[serde(default)]
    cluster_name: Option<String>,
    #[serde(default)]
    networking: Networking,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Networking {
    service_subnet: Option<String>,
    pod_subnet: Option<String>,
    dns_domain: Option<String>,
}

impl JoiningConfig {
    /// Reads it with the token that `client` shows.
    pub(super) async fn read(
        client: &ApiClient,
        endpoint: &str,
        token_id: &str,
    ) -> Result<Self, DiscoveryError> {
        let refused = |what: &'static str| {
            move |error| DiscoveryError::of_verified_call(endpoint, what, token_id, error)
        };
        let (kubeadm, kubelet, version, is_balanced) = tokio::join!(
            get(client, KUBEADM_CONFIG),
            get(client, KUBELET_CONFIG),
            client.server_version(),
            is_balanced(client)
        );
        let kubeadm = kubeadm.map_err(refused(KUBEADM_CONFIG))?;
        let kubelet = kubelet.map_err(refused(KUBELET_CONFIG))?;
        let api_server_version = version.map_err(refused("the API server's version"))?;
        let name = kubeadm.annotations().get(CLUSTER_NAME_ANNOTATION).cloned();
        let configuration = cluster_configuration(&kubeadm)?;
        let cluster_name = configuration
            .cluster_name
            .unwrap_or_else(|| "kubernetes".to_owned());
        let unusable = |reason: String| unusable(KUBEADM_CONFIG, reason);
        let version = configuration.kubernetes_version.parse();
        let networking = configuration.networking;
        let service_subnet = networking.service_subnet.filter(|text| !text.is_empty());
        let service_subnet = service_subnet.as_deref().unwrap_or(SERVICE_SUBNET);
        let pod_subnet = networking.pod_subnet.filter(|text| !text.is_empty());
        Ok(Self {
            is_ours: name.is_some(),
            name: name.unwrap_or_else(|| cluster_name.clone()),
            cluster_name,
            kubernetes_version: version
                .map_err(|error: slipway_api::InvalidVersion| unusable(error.to_string()))?,
            api_server_version,
            service_subnet: subnets(service_subnet)?,
            pod_subnet: pod_subnet.as_deref().map(subnets).transpose()?,
            dns_domain: networking
                .dns_domain
                .unwrap_or_else(|| "cluster.local".to_owned()),
            kubelet_configuration: kubelet_configuration(&kubelet)?,
            is_balanced,
            endpoint: endpoint.to_owned(),
            token_id: token_id.to_owned(),
        })
    }

    /// Returns whether a node called `name` is there and Ready: another machine
    /// with the same name must not push it out.
    pub(super) async fn node_is_ready(
        &self,
        client: &ApiClient,
        name: &str,
    ) -> Result<bool, DiscoveryError> {
        let node = client.node(name).await.map_err(|error| {
            let what = format!("node {name}");
            DiscoveryError::of_verified_call(&self.endpoint, &what, &self.token_id, error)
        })?;
        let status = node.and_then(|node| node.status);
        Ok(status.is_some_and(|status| is_status_ready(&status)))
    }
}

/// Returns whether nodes reach the API through balancers of their own, as kube-proxy's
/// configuration says; a cluster without kube-proxy does not tell, and is none.
pub(crate) async fn is_balanced(client: &ApiClient) -> bool {
    let found = get(client, KUBE_PROXY).await;
    let data = found.ok().and_then(|found| found.data).unwrap_or_default();
    let kubeconfig = data.get("kubeconfig.conf");
    kubeconfig.is_some_and(|text| text.lines().any(|line| line.trim() == BALANCER))
}

fn subnets(text: &str) -> Result<Subnets, DiscoveryError> {
    let text: String = text.split_whitespace().collect();
    text.parse()
        .map_err(|error: slipway_api::InvalidSubnets| unusable(KUBEADM_CONFIG, error.to_string()))
}

async fn get(client: &ApiClient, name: &str) -> Result<ConfigMap, KubernetesError> {
    let api = client.namespaced::<ConfigMap>(KUBE_SYSTEM);
    client
        .call(
            &format!("read ConfigMap {KUBE_SYSTEM}/{name}"),
            api.get(name),
        )
        .await
}

fn cluster_configuration(object: &ConfigMap) -> Result<ClusterConfiguration, DiscoveryError> {
    let text = value(object, KUBEADM_CONFIG, "ClusterConfiguration")?;
    serde_saphyr::from_str(text).map_err(|error| unusable(KUBEADM_CONFIG, error.to_string()))
}

fn kubelet_configuration(object: &ConfigMap) -> Result<Value, DiscoveryError> {
    let text = value(object, KUBELET_CONFIG, "kubelet")?;
    let document: Value = serde_saphyr::from_str(text)
        .map_err(|error| unusable(KUBELET_CONFIG, error.to_string()))?;
    if document.is_object() {
        Ok(document)
    } else {
        Err(unusable(KUBELET_CONFIG, "it is no map".to_owned()))
    }
}

fn value<'a>(
    object: &'a ConfigMap,
    name: &'static str,
    key: &str,
) -> Result<&'a str, DiscoveryError> {
    let data = object.data.as_ref();
    let text = data.and_then(|data| data.get(key)).map(String::as_str);
    text.ok_or_else(|| unusable(name, format!("it has no key `{key}`")))
}

fn unusable(name: &str, reason: String) -> DiscoveryError {
    DiscoveryError::Unusable {
        what: format!("ConfigMap {KUBE_SYSTEM}/{name}"),
        reason,
    }
}
