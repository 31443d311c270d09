//! Gathers the cluster's facts on a control-plane host.

use std::path::Path;

use serde_json::Value;
use slipway_api::protocol::Attachment;
use slipway_api::{ClusterFacts, NodeFacts, paths};
use tokio::sync::mpsc;

use crate::AgentError;
use crate::context::Context;
use crate::kubernetes::{ApiClient, ApiCondition, KUBE_SYSTEM, Observation};
use crate::server::under;
use crate::steps::{client, failed};

/// Returns the cluster's facts; none where this host has no `admin.conf`.
///
/// # Errors
/// The API server does not answer.
pub(crate) async fn gather_cluster_facts(root: &Path) -> Result<Option<ClusterFacts>, AgentError> {
    if !under(root, paths::ADMIN_CONF).exists() {
        return Ok(None);
    }
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    let client = client(&context, paths::ADMIN_CONF).await?;
    let configuration = gather_configuration(&client).await?;
    let (version, nodes, unhealthy) = tokio::join!(
        client.server_version(),
        client.nodes(),
        unhealthy_addons(&client, configuration.as_ref())
    );
    let nodes = nodes.map_err(failed("list nodes".to_owned()))?;
    Ok(Some(ClusterFacts {
        api_server_version: version.map_err(failed("read the API server's version".to_owned()))?,
        nodes: nodes.into_iter().map(NodeFacts::from).collect(),
        unhealthy,
        configuration,
    }))
}

/// Returns what `kubeadm-config` holds; none where there is none, or none that
/// can be read.
pub(crate) async fn gather_configuration(client: &ApiClient) -> Result<Option<Value>, AgentError> {
    let data = client
        .get_config_map(KUBE_SYSTEM, "kubeadm-config")
        .await
        .map_err(failed("read kubeadm-config".to_owned()))?;
    let text = data.and_then(|mut data| data.remove("ClusterConfiguration"));
    Ok(text.and_then(|text| serde_saphyr::from_str(&text).ok()))
}

async fn unhealthy_addons(client: &ApiClient, configuration: Option<&Value>) -> Vec<String> {
    let is_disabled = |addon: &str| {
        let found = configuration.and_then(|it| it.pointer(&format!("/{addon}/disabled")));
        found == Some(&Value::Bool(true))
    };
    let (no_dns, no_proxy) = (is_disabled("dns"), is_disabled("proxy"));
    let deployment = |namespace: &str, name: &str| ApiCondition::DeploymentAvailable {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let daemon_set = |namespace: &str, name: &str| ApiCondition::DaemonSetReady {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let conditions = [
        deployment(KUBE_SYSTEM, "coredns"),
        deployment(KUBE_SYSTEM, "metrics-server"),
        daemon_set(KUBE_SYSTEM, "kube-proxy"),
        daemon_set("kube-flannel", "kube-flannel-ds"),
    ];
    let looks = conditions.into_iter().map(|condition| async move {
        match client.observe(&condition).await {
            Ok(Observation::Met) => None,
            Ok(Observation::NotYet(seen)) => Some(seen),
            Err(error) => Some(error.to_string()),
        }
    });
    let found = futures::future::join_all(looks).await;
    // Only these may be left out on purpose.
    found
        .into_iter()
        .flatten()
        .filter(|seen| {
            let is_optional = seen.contains("metrics-server")
                || seen.contains("flannel")
                || (no_dns && seen.contains("coredns"))
                || (no_proxy && seen.contains("kube-proxy"));
            !(is_optional && seen.ends_with("does not exist"))
        })
        .collect()
}
