//! Conditions of the cluster that become true by themselves.

use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::Selector;

use super::pod_trouble::{is_ready, pod_trouble};
use super::{ApiClient, KUBE_SYSTEM, KubernetesError, Observation};

/// Something about the cluster that becomes true by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiCondition {
    /// The API server answers `/readyz`.
    ApiServerReady,
    /// A node of this name is registered.
    NodeRegistered {
        /// The node's name.
        node: String,
    },
    /// The node is Ready.
    NodeReady {
        /// The node's name.
        node: String,
    },
    /// The node is Ready, and a kubelet of this version says so.
    NodeUpgraded {
        /// The node's name.
        node: String,
        /// The kubelet's version, `v1.36.3`.
        version: String,
    },
    /// A Deployment is rolled out and has all its replicas available.
    DeploymentAvailable {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// A DaemonSet is rolled out and available on every node it is meant for.
    DaemonSetReady {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// The static Pod of a control-plane component is Ready.
    StaticPodRunning {
        /// The component, for example `kube-apiserver`.
        component: String,
        /// The node's name.
        node: String,
    },
}

impl fmt::Display for ApiCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiServerReady => f.write_str("the API server is ready"),
            Self::NodeRegistered { node } => write!(f, "node {node} is registered"),
            Self::NodeReady { node } => write!(f, "node {node} is Ready"),
            Self::NodeUpgraded { node, version } => {
                write!(f, "node {node} is Ready with {version}")
            }
            Self::DeploymentAvailable { namespace, name } => {
                write!(f, "Deployment {namespace}/{name} is available")
            }
            Self::DaemonSetReady { namespace, name } => {
                write!(f, "DaemonSet {namespace}/{name} is ready")
            }
            Self::StaticPodRunning { component, node } => {
                write!(f, "static Pod {component} on {node} is running")
            }
        }
    }
}

impl ApiClient {
    /// Looks once whether `condition` is met.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn observe(&self, condition: &ApiCondition) -> Result<Observation, KubernetesError> {
        match condition {
            ApiCondition::ApiServerReady => match self.ready().await {
                Err(error @ KubernetesError::Unhealthy { .. }) => {
                    Ok(Observation::NotYet(error.to_string()))
                }
                outcome => outcome.map(|()| Observation::Met),
            },
            ApiCondition::NodeRegistered { node } => {
                let found = self.node(node).await?;
                Ok(match found {
                    Some(_) => Observation::Met,
                    None => node_is_missing(node),
                })
            }
            ApiCondition::NodeReady { node } => {
                let found = self.node(node).await?;
                Ok(found.map_or_else(|| node_is_missing(node), |node| observe_node(&node)))
            }
            ApiCondition::NodeUpgraded { node, version } => {
                let found = self.node(node).await?;
                Ok(found.map_or_else(
                    || node_is_missing(node),
                    |found| match kubelet_version(&found) {
                        Some(is) if is != version => Observation::NotYet(format!(
                            "the kubelet of node {node} is {is} as the API knows it"
                        )),
                        Some(_) | None => observe_node(&found),
                    },
                ))
            }
            ApiCondition::DeploymentAvailable { namespace, name } => {
                let api = self.namespaced::<Deployment>(namespace);
                let doing = format!("read Deployment {namespace}/{name}");
                let Some(found) = self.call(&doing, api.get_opt(name)).await? else {
                    return Ok(is_missing("Deployment", namespace, name));
                };
                let missing = observe_deployment(&found);
                let selector = found.spec.map(|spec| spec.selector);
                self.explain(missing, namespace, selector).await
            }
            ApiCondition::DaemonSetReady { namespace, name } => {
                let api = self.namespaced::<DaemonSet>(namespace);
                let doing = format!("read DaemonSet {namespace}/{name}");
                let Some(found) = self.call(&doing, api.get_opt(name)).await? else {
                    return Ok(is_missing("DaemonSet", namespace, name));
                };
                let missing = observe_daemon_set(&found);
                let selector = found.spec.map(|spec| spec.selector);
                self.explain(missing, namespace, selector).await
            }
            ApiCondition::StaticPodRunning { component, node } => {
                // The kubelet appends its node's name to a static Pod's own.
                let name = format!("{component}-{node}");
                let api = self.namespaced::<Pod>(KUBE_SYSTEM);
                let doing = format!("read Pod {KUBE_SYSTEM}/{name}");
                let found = self.call(&doing, api.get_opt(&name)).await?;
                Ok(match found {
                    None => is_missing("Pod", KUBE_SYSTEM, &name),
                    Some(pod) if is_ready(&pod) => Observation::Met,
                    Some(pod) => Observation::NotYet(pod_trouble(&pod)),
                })
            }
        }
    }

    /// Returns a node, if it is registered.
    pub(super) async fn node(&self, name: &str) -> Result<Option<Node>, KubernetesError> {
        let api = self.all::<Node>();
        self.call(&format!("read node {name}"), api.get_opt(name))
            .await
    }

    /// Adds to what is missing why the first pod that is not Ready is not.
    async fn explain(
        &self,
        missing: Option<String>,
        namespace: &str,
        selector: Option<LabelSelector>,
    ) -> Result<Observation, KubernetesError> {
        let Some(missing) = missing else {
            return Ok(Observation::Met);
        };
        let Some(Ok(selector)) = selector.map(Selector::try_from) else {
            return Ok(Observation::NotYet(missing));
        };
        let api = self.namespaced::<Pod>(namespace);
        let wanted = ListParams::default().labels_from(&selector);
        let doing = format!("list pods in {namespace}");
        let pods = self.call(&doing, api.list(&wanted)).await?;
        let trouble = pods
            .items
            .iter()
            .find(|pod| !is_ready(pod))
            .map(pod_trouble);
        Ok(Observation::NotYet(match trouble {
            Some(trouble) => format!("{missing}; {trouble}"),
            None => missing,
        }))
    }
}

fn node_is_missing(node: &str) -> Observation {
    Observation::NotYet(format!("node {node} is not registered"))
}

fn is_missing(kind: &str, namespace: &str, name: &str) -> Observation {
    Observation::NotYet(format!("{kind} {namespace}/{name} does not exist"))
}

fn kubelet_version(node: &Node) -> Option<&str> {
    let info = node.status.as_ref()?.node_info.as_ref()?;
    Some(&info.kubelet_version)
}

fn observe_node(node: &Node) -> Observation {
    let name = node.name_any();
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    let ready = conditions.and_then(|all| all.iter().find(|c| c.type_ == "Ready"));
    match ready {
        Some(ready) if ready.status == "True" => Observation::Met,
        Some(ready) => {
            let why = ready.message.as_deref().or(ready.reason.as_deref());
            Observation::NotYet(format!(
                "node {name} is not Ready: {}",
                why.unwrap_or("its kubelet gives no reason")
            ))
        }
        None => Observation::NotYet(format!("node {name} has not reported whether it is Ready")),
    }
}

/// Returns what is missing, if anything is.
fn observe_deployment(deployment: &Deployment) -> Option<String> {
    let name = named("Deployment", deployment);
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|s| s.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Some(format!("{name} has not been looked at by its controller"));
    }
    let updated = status.updated_replicas.unwrap_or(0);
    if updated < wanted {
        return Some(format!(
            "{updated} of {wanted} replicas of {name} are up to date"
        ));
    }
    let available = status.available_replicas.unwrap_or(0);
    if available < wanted {
        return Some(format!(
            "{available} of {wanted} replicas of {name} are available"
        ));
    }
    // Old replicas that are still there would be counted as available.
    let all = status.replicas.unwrap_or(0);
    (all > wanted).then(|| format!("{} old replicas of {name} are still there", all - wanted))
}

/// Returns what is missing, if anything is.
fn observe_daemon_set(daemon_set: &DaemonSet) -> Option<String> {
    let name = named("DaemonSet", daemon_set);
    let status = daemon_set.status.clone().unwrap_or_default();
    if status.observed_generation < daemon_set.metadata.generation {
        return Some(format!("{name} has not been looked at by its controller"));
    }
    let wanted = status.desired_number_scheduled;
    let updated = status.updated_number_scheduled.unwrap_or(0);
    if updated < wanted {
        return Some(format!(
            "{updated} of {wanted} pods of {name} are up to date"
        ));
    }
    let available = status.number_available.unwrap_or(0);
    (available < wanted).then(|| format!("{available} of {wanted} pods of {name} are available"))
}

fn named(kind: &str, object: &impl ResourceExt) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{kind} {namespace}/{}", object.name_any())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "coredns", "namespace": "kube-system", "generation": 2 },
            "spec": { "replicas": 2, "selector": {}, "template": {} },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_deployment_is_available_only_when_it_is_rolled_out() {
        let done = json!({
            "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
        });
        assert_eq!(observe_deployment(&deployment(done)), None);
        let stale = json!({
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
        });
        assert!(observe_deployment(&deployment(stale)).is_some());
        let half = json!({
            "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1,
        });
        assert_eq!(
            observe_deployment(&deployment(half)).as_deref(),
            Some("1 of 2 replicas of Deployment kube-system/coredns are available")
        );
    }

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": "w-1" },
            "status": { "conditions": [ {
                "type": "Ready", "status": "False", "reason": "KubeletNotReady",
                "message": "cni plugin not initialized",
            } ] },
        }))
        .unwrap();
        assert_eq!(
            observe_node(&node),
            Observation::NotYet("node w-1 is not Ready: cni plugin not initialized".to_owned())
        );
    }
}
