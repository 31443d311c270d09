//! Objects and nodes, through the API server on this control-plane host.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slipway_api::step::{
    ApplyObjects, DeleteNode, DrainNode, MarkNode, PublishClusterInfo, UncordonNode,
};
use slipway_api::{Check, paths};

use super::needed;
use crate::AgentError;
use crate::context::Context;
use crate::kubernetes::{
    ApiClient, ApiCondition, Drain, FIELD_MANAGER, KubernetesError, Observation,
};

/// How many differing objects a reason names.
const NAMED_OBJECTS: usize = 3;

pub(super) async fn check_objects(
    step: &ApplyObjects,
    context: &Context,
) -> Result<Check, AgentError> {
    if !context.at(paths::ADMIN_CONF).exists() {
        return Ok(needed(Some("the cluster has not started yet")));
    }
    let admin = client(context, paths::ADMIN_CONF).await?;
    let mut found = admin.objects_differ(&step.manifest).await;
    if let Err(error) = &found
        && is_forbidden(error)
        && context.at(paths::SUPER_ADMIN_CONF).exists()
    {
        let admin = client(context, paths::SUPER_ADMIN_CONF).await?;
        found = admin.objects_differ(&step.manifest).await;
    }
    let found = found.map_err(failed(format!("compare {}", step.name)))?;
    let mut names: Vec<String> = found.iter().map(ToString::to_string).collect();
    let more = names.len().saturating_sub(NAMED_OBJECTS);
    names.truncate(NAMED_OBJECTS);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Ok(needed((!names.is_empty()).then(|| names.join("; "))))
}

pub(super) async fn apply_objects(
    step: &ApplyObjects,
    context: &Context,
) -> Result<(), AgentError> {
    let admin = client(context, paths::ADMIN_CONF).await?;
    let mut applied = admin
        .apply_objects(&step.manifest, FIELD_MANAGER, true)
        .await;
    if let Err(error) = &applied
        && is_forbidden(error)
        && context.at(paths::SUPER_ADMIN_CONF).exists()
    {
        // The very first objects give the administrators' group its rights, so
        // only system:masters can make them; kubeadm goes the same way.
        context.log("admin.conf has no rights yet, using super-admin.conf");
        let admin = client(context, paths::SUPER_ADMIN_CONF).await?;
        applied = admin
            .apply_objects(&step.manifest, FIELD_MANAGER, true)
            .await;
    }
    for object in applied.map_err(failed(format!("apply {}", step.name)))? {
        context.log(object.to_string());
    }
    Ok(())
}

pub(super) async fn check_info(
    step: &PublishClusterInfo,
    context: &Context,
) -> Result<Check, AgentError> {
    if !context.at(paths::ADMIN_CONF).exists() {
        return Ok(needed(Some("the cluster has not started yet")));
    }
    check_objects(&cluster_info(step, context)?, context).await
}

pub(super) async fn apply_info(
    step: &PublishClusterInfo,
    context: &Context,
) -> Result<(), AgentError> {
    apply_objects(&cluster_info(step, context)?, context).await
}

/// Returns the objects with the cluster CA's certificate filled in.
fn cluster_info(step: &PublishClusterInfo, context: &Context) -> Result<ApplyObjects, AgentError> {
    let path = context.at(paths::CLUSTER_CA);
    let ca_pem = std::fs::read_to_string(&path).map_err(AgentError::file("read", &path))?;
    let placeholder = STANDARD.encode(PublishClusterInfo::CA_PLACEHOLDER);
    let manifest = step
        .manifest
        .replace(&placeholder, &STANDARD.encode(ca_pem));
    Ok(ApplyObjects::new("cluster-info", manifest))
}

pub(super) async fn check_marks(step: &MarkNode, context: &Context) -> Result<Check, AgentError> {
    if !context.at(paths::ADMIN_CONF).exists() {
        return Ok(needed(Some("the cluster has not started yet")));
    }
    let missing = client(context, paths::ADMIN_CONF)
        .await?
        .node_marks_wrong(&step.node_name, &step.labels, &step.taints)
        .await
        .map_err(failed(format!("look at node {}", step.node_name)))?;
    Ok(needed((!missing.is_empty()).then(|| missing.join("; "))))
}

pub(super) async fn apply_marks(step: &MarkNode, context: &Context) -> Result<(), AgentError> {
    client(context, paths::ADMIN_CONF)
        .await?
        .mark_node(&step.node_name, &step.labels, &step.taints)
        .await
        .map(drop)
        .map_err(failed(format!("label and taint node {}", step.node_name)))
}

pub(super) async fn check_drained(
    step: &DrainNode,
    context: &Context,
) -> Result<Check, AgentError> {
    let because = match find_node(&step.node_name, context).await? {
        None => None,
        Some(node) if !node.unschedulable => Some("pods may be scheduled on it".to_owned()),
        Some(node) => {
            let pods = client(context, paths::ADMIN_CONF)
                .await?
                .pods_to_evict(&node.name)
                .await
                .map_err(failed(format!("list the pods of node {}", node.name)))?;
            (!pods.is_empty()).then(|| format!("{} pods run on it", pods.len()))
        }
    };
    Ok(needed(because))
}

pub(super) async fn apply_drain(step: &DrainNode, context: &Context) -> Result<(), AgentError> {
    let mut progress = |line: &str| context.log(line);
    let drain = Drain {
        node: &step.node_name,
        delete_empty_dir_data: step.delete_empty_dir_data,
        comes_back: step.comes_back,
        bound: Duration::from_secs(step.timeout_seconds),
    };
    let drained = client(context, paths::ADMIN_CONF)
        .await?
        .drain(drain, &mut progress)
        .await
        .map_err(failed(format!("drain node {}", step.node_name)))?;
    context.log(format!(
        "{} pods gone, {} stay",
        drained.gone, drained.stayed
    ));
    Ok(())
}

pub(super) async fn check_uncordoned(
    step: &UncordonNode,
    context: &Context,
) -> Result<Check, AgentError> {
    let is_ours = client(context, paths::ADMIN_CONF)
        .await?
        .is_cordoned_by_slipway(&step.node_name)
        .await
        .map_err(failed(format!("look at node {}", step.node_name)))?;
    Ok(needed(is_ours.then_some("it was cordoned for an upgrade")))
}

pub(super) async fn apply_uncordon(
    step: &UncordonNode,
    context: &Context,
) -> Result<(), AgentError> {
    client(context, paths::ADMIN_CONF)
        .await?
        .end_cordon(&step.node_name)
        .await
        .map_err(failed(format!("uncordon node {}", step.node_name)))
}

pub(super) async fn check_deleted(
    step: &DeleteNode,
    context: &Context,
) -> Result<Check, AgentError> {
    let node = find_node(&step.node_name, context).await?;
    Ok(needed(node.map(|_| "it is registered")))
}

pub(super) async fn apply_delete(step: &DeleteNode, context: &Context) -> Result<(), AgentError> {
    client(context, paths::ADMIN_CONF)
        .await?
        .delete_node(&step.node_name)
        .await
        .map(drop)
        .map_err(failed(format!("delete node {}", step.node_name)))
}

/// Returns whether a condition holds, and what is missing if not.
pub(super) async fn observe(
    condition: &ApiCondition,
    context: &Context,
) -> Result<Observation, AgentError> {
    if !context.at(paths::ADMIN_CONF).exists() {
        return Ok(Observation::NotYet(
            "the cluster has not started yet".to_owned(),
        ));
    }
    client(context, paths::ADMIN_CONF)
        .await?
        .observe(condition)
        .await
        .map_err(failed(format!("see whether {condition}")))
}

/// Returns a client of the API server on this host.
///
/// The kubeconfig may name a load balancer; steps speak to the server beside
/// them, found in the controller manager's kubeconfig.
pub(crate) async fn client(context: &Context, kubeconfig: &str) -> Result<ApiClient, AgentError> {
    let local = crate::files::read_text(&context.at(CONTROLLER_MANAGER_CONF))?
        .and_then(|text| slipway_pki::Kubeconfig::parse(&text).ok())
        .map(|found| found.server);
    ApiClient::from_kubeconfig(&context.at(kubeconfig), local.as_deref())
        .await
        .map_err(failed(format!("use {kubeconfig}")))
}

/// A kubeconfig that always names the API server on its own host.
const CONTROLLER_MANAGER_CONF: &str = "/etc/kubernetes/controller-manager.conf";

async fn find_node(
    name: &str,
    context: &Context,
) -> Result<Option<crate::kubernetes::NodeSummary>, AgentError> {
    let nodes = client(context, paths::ADMIN_CONF)
        .await?
        .nodes()
        .await
        .map_err(failed(format!("look at node {name}")))?;
    Ok(nodes.into_iter().find(|node| node.name == name))
}

fn is_forbidden(error: &KubernetesError) -> bool {
    matches!(error, KubernetesError::Refused { code: 403, .. })
}

/// Returns a function that says what was tried.
pub(crate) fn failed(doing: String) -> impl FnOnce(KubernetesError) -> AgentError {
    move |error| AgentError::Kubernetes {
        doing,
        source: Box::new(error),
    }
}
