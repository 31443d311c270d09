//! Moving a node's pods elsewhere through the Eviction API.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Request;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::{Selector, SelectorExt};
use serde_json::{Value, json};

use super::api_client::build;
use super::node_summary::is_status_ready;
use super::{ApiClient, KUBE_SYSTEM, KubernetesError};

/// The pause between two rounds of evictions.
const PAUSE: Duration = Duration::from_secs(1);
/// The annotation of the API objects that stand for static Pods.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// What a drain is to do.
#[derive(Clone, Copy, Debug)]
pub struct Drain<'a> {
    /// The node.
    pub node: &'a str,
    /// Whether pods with emptyDir volumes may be evicted.
    pub delete_empty_dir_data: bool,
    /// Whether the node comes back: then its cordon is noted on it.
    pub comes_back: bool,
    /// How long it may take.
    pub bound: Duration,
}

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many pods are gone from the node.
    pub gone: usize,
    /// How many pods of DaemonSets and static Pods stayed.
    pub stayed: usize,
}

impl ApiClient {
    /// Returns the names of the pods that a drain of `node` would evict.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn pods_to_evict(&self, node: &str) -> Result<Vec<String>, KubernetesError> {
        let Some(found) = self.node(node).await? else {
            return Ok(Vec::new());
        };
        // No kubelet ends the terminating pods of a node that is not Ready.
        let is_ready = found.status.as_ref().is_some_and(is_status_ready);
        let pods = self.pods_on(node).await?;
        let is_left =
            |pod: &&Pod| must_go(pod) && (is_ready || pod.metadata.deletion_timestamp.is_none());
        Ok(pods.iter().filter(is_left).map(pod_name).collect())
    }

    /// Cordons a node, evicts its pods and waits until they are gone.
    ///
    /// Static Pods and pods of DaemonSets stay. PodDisruptionBudgets are
    /// respected: a blocked pod is tried again until the bound is over, and
    /// `progress` hears which budget blocks it. Pods without a controller are
    /// evicted too and will not come back. On a node that is not Ready, pods
    /// that are already terminating are not waited for: no kubelet ends them.
    /// A node that does not exist counts as drained.
    ///
    /// # Errors
    /// Pods use emptyDir volumes whose data is to stay (nothing is evicted then),
    /// pods are left when the bound is over, or the API server refuses.
    pub async fn drain(
        &self,
        drain: Drain<'_>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Drained, KubernetesError> {
        let Drain { node, bound, .. } = drain;
        if self.node(node).await?.is_none() {
            return Ok(Drained::default());
        }
        let pods = self.pods_on(node).await?;
        let (to_go, stayed): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(must_go);
        if !drain.delete_empty_dir_data {
            refuse_data_loss(node, &to_go)?;
        }
        let cordoned = match drain.comes_back {
            true => self.cordon_for_a_while(node).await?,
            false => self.cordon(node).await?,
        };
        if cordoned {
            progress(&format!("node {node} is cordoned"));
        }
        self.evict_all(node, bound, progress).await?;
        Ok(Drained {
            gone: to_go.len(),
            stayed: stayed.len(),
        })
    }

    async fn evict_all(
        &self,
        node: &str,
        bound: Duration,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), KubernetesError> {
        let deadline = Instant::now() + bound;
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        loop {
            // Asked every time: a host that has just died is Ready for a while yet.
            let looked = futures::try_join!(self.node(node), self.pods_on(node));
            let (found, pods) = match looked {
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                looked => looked?,
            };
            let status = found.and_then(|node| node.status);
            let is_ready = status.as_ref().is_some_and(is_status_ready);
            let mut left = BTreeMap::new();
            for pod in pods.iter().filter(|pod| must_go(pod)) {
                let name = pod_name(pod);
                let is_terminating = pod.metadata.deletion_timestamp.is_some();
                if is_terminating && !is_ready {
                    continue;
                }
                let why = if is_terminating {
                    format!("pod {name} is terminating")
                } else {
                    self.evict(pod).await?
                };
                if said.get(&name) != Some(&why) {
                    progress(&why);
                    said.insert(name.clone(), why.clone());
                }
                left.insert(name, why);
            }
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() + PAUSE > deadline {
                let remaining: Vec<String> = left.into_values().collect();
                return Err(KubernetesError::NotDrained {
                    node: node.to_owned(),
                    seconds: bound.as_secs(),
                    remaining: remaining.join("; "),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn pods_on(&self, node: &str) -> Result<Vec<Pod>, KubernetesError> {
        let wanted = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let api = self.all::<Pod>();
        let doing = format!("list the pods on node {node}");
        Ok(self.call(&doing, api.list(&wanted)).await?.items)
    }

    /// Asks for the eviction of a pod and returns what came of it, as a sentence.
    async fn evict(&self, pod: &Pod) -> Result<String, KubernetesError> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
        let builder = Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
            // A StatefulSet's next pod of the same name is another pod.
            "deleteOptions": { "preconditions": { "uid": pod.uid() } },
        });
        let doing = format!("evict pod {namespace}/{name}");
        let request = build(builder, eviction.to_string().into_bytes());
        match self.send::<Value>(&doing, request).await {
            Ok(_) if has_controller(pod) => Ok(format!("pod {namespace}/{name} is evicted")),
            Ok(_) => Ok(format!(
                "pod {namespace}/{name} is evicted; it has no controller and will not come back"
            )),
            // Somebody was faster; the next round shows.
            Err(error) if error.is_not_found() || error.is_conflict() => {
                Ok(format!("pod {namespace}/{name} is going"))
            }
            Err(KubernetesError::Refused { code: 429, .. }) => {
                let budget = self.blocking_budget(pod).await?;
                let by = budget.unwrap_or_else(|| "the API server's rate limit".to_owned());
                Ok(format!("pod {namespace}/{name} is blocked by {by}"))
            }
            Err(error) if error.is_transient() => Ok(error.to_string()),
            Err(error) => Err(error),
        }
    }

    /// Returns the budget that covers the pod and allows no disruption now.
    async fn blocking_budget(&self, pod: &Pod) -> Result<Option<String>, KubernetesError> {
        let namespace = pod.namespace().unwrap_or_default();
        let api = self.namespaced::<PodDisruptionBudget>(&namespace);
        let doing = format!("list PodDisruptionBudgets in {namespace}");
        let budgets = self.call(&doing, api.list(&ListParams::default())).await?;
        let blocking = budgets.items.iter().find(|budget| is_blocking(budget, pod));
        Ok(blocking.map(|b| format!("PodDisruptionBudget {namespace}/{}", b.name_any())))
    }
}

/// Returns whether a drain evicts the pod.
pub(super) fn must_go(pod: &Pod) -> bool {
    let is_mirror = pod.annotations().contains_key(MIRROR_ANNOTATION);
    let owners = pod.owner_references();
    let is_of_daemon_set = owners
        .iter()
        .any(|owner| owner.controller == Some(true) && owner.kind == "DaemonSet");
    !is_mirror && !is_of_daemon_set
}

fn has_controller(pod: &Pod) -> bool {
    let owners = pod.owner_references();
    owners.iter().any(|owner| owner.controller == Some(true))
}

/// Returns an error when pods that still run have emptyDir volumes. The
/// cluster's own addons are left out: what they keep there is a cache.
fn refuse_data_loss(node: &str, pods: &[Pod]) -> Result<(), KubernetesError> {
    let has_empty_dir = |pod: &&Pod| {
        let volumes = pod
            .spec
            .iter()
            .flat_map(|spec| spec.volumes.iter().flatten());
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
            && pod.namespace().as_deref() != Some(KUBE_SYSTEM)
            && volumes.into_iter().any(|volume| volume.empty_dir.is_some())
    };
    let names: Vec<String> = pods.iter().filter(has_empty_dir).map(pod_name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(KubernetesError::EmptyDirData {
        node: node.to_owned(),
        pods: names.join(", "),
    })
}

pub(super) fn is_blocking(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let allowed = budget.status.as_ref().map_or(0, |s| s.disruptions_allowed);
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
    let Some(Ok(selector)) = selector.map(Selector::try_from) else {
        return false;
    };
    allowed <= 0 && selector.matches(pod.labels())
}

pub(super) fn pod_name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(metadata: Value) -> Pod {
        let volumes = json!([ { "name": "tmp", "emptyDir": {} } ]);
        let spec = json!({ "containers": [], "volumes": volumes });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    #[test]
    fn static_pods_and_daemon_sets_stay() {
        let mirror = json!({ "name": "etcd-cp-1", "annotations": { MIRROR_ANNOTATION: "x" } });
        let owner = |kind: &str| {
            json!({ "name": "p", "ownerReferences": [ {
                "apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u", "controller": true,
            } ] })
        };
        assert!(!must_go(&pod(mirror)));
        assert!(!must_go(&pod(owner("DaemonSet"))));
        assert!(must_go(&pod(owner("ReplicaSet"))));
        assert!(must_go(&pod(json!({ "name": "bare" }))));
    }

    #[test]
    fn pods_with_empty_dirs_are_named_before_anything_is_evicted() {
        let pods = [pod(json!({ "name": "cache", "namespace": "shop" }))];
        assert_eq!(
            refuse_data_loss("w-1", &pods).unwrap_err().to_string(),
            "node w-1 runs pods whose emptyDir data would be lost: shop/cache"
        );
    }

    #[test]
    fn a_budget_blocks_only_the_pods_it_covers() {
        let budget: PodDisruptionBudget = serde_json::from_value(json!({
            "metadata": { "name": "web" },
            "spec": { "selector": { "matchLabels": { "app": "web" } } },
            "status": { "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1 },
        }))
        .unwrap();
        assert!(is_blocking(
            &budget,
            &pod(json!({ "labels": { "app": "web" } }))
        ));
        assert!(!is_blocking(
            &budget,
            &pod(json!({ "labels": { "app": "db" } }))
        ));
    }
}
