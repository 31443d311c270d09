//! Pods as a container runtime has them.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_cri::v1 as api;

use super::client::{call, call_within};
use super::{CriClient, CriError};

/// How long stopping or removing one pod may take: its network is torn down too.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(60);
/// How many pods are removed at the same time.
const CONCURRENCY: usize = 8;
/// How often a pod's removal is tried; CNI plugins fail now and then.
const ROUNDS: usize = 5;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// A pod as a container runtime has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSandbox {
    /// The runtime's ID.
    pub id: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Whether it runs.
    pub is_ready: bool,
    /// Whether a kubelet made it; others make pods by hand.
    pub is_kubelets: bool,
    /// Whether a kubelet made it of a file, and not because the API server said so.
    pub is_static: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The label that every pod of a kubelet has. Source: `pkg/kubelet/types/labels.go`.
const POD_UID_LABEL: &str = "io.kubernetes.pod.uid";

/// The annotation that says where a kubelet has a pod from, and what it says of a file.
/// Source: `pkg/kubelet/types/pod_update.go`.
const SOURCE_ANNOTATION: (&str, &str) = ("kubernetes.io/config.source", "file");

impl From<api::PodSandbox> for PodSandbox {
    fn from(sandbox: api::PodSandbox) -> Self {
        let is_ready = sandbox.state() == api::PodSandboxState::SandboxReady;
        let is_kubelets = sandbox.labels.contains_key(POD_UID_LABEL);
        let (key, of_file) = SOURCE_ANNOTATION;
        let source = sandbox.annotations.get(key);
        let is_static = source.is_some_and(|source| source == of_file);
        let metadata = sandbox.metadata.unwrap_or_default();
        Self {
            id: sandbox.id,
            namespace: metadata.namespace,
            name: metadata.name,
            is_ready,
            is_kubelets,
            is_static,
            created_at: time(sandbox.created_at),
        }
    }
}

/// Returns the time that CRI gives in nanoseconds since 1970.
pub(super) fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}

impl CriClient {
    /// Returns all pods, also those that ended.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn pod_sandboxes(&self) -> Result<Vec<PodSandbox>, CriError> {
        let request = api::ListPodSandboxRequest { filter: None };
        let mut runtime = self.runtime();
        let answer = call("list pods", runtime.list_pod_sandbox(request)).await?;
        Ok(answer.items.into_iter().map(Into::into).collect())
    }

    /// Stops and removes the pods that are `meant`, all at once and without
    /// grace, and returns how many there were. `progress` hears how many are
    /// done, how many there are in all, and the last one's name.
    ///
    /// # Errors
    /// Pods are left after several rounds, or the runtime does not answer.
    pub async fn stop_and_remove_pods(
        &self,
        meant: &(dyn Fn(&PodSandbox) -> bool + Sync),
        progress: &mut (dyn FnMut(u64, u64, &str) + Send),
    ) -> Result<usize, CriError> {
        let mut total = 0;
        let mut failed = Vec::new();
        for round in 0..ROUNDS {
            let mut pods = self.pod_sandboxes().await?;
            pods.retain(|pod| meant(pod));
            if pods.is_empty() {
                return Ok(total);
            }
            if round == 0 {
                total = pods.len();
            } else {
                tokio::time::sleep(PAUSE).await;
            }
            failed.clear();
            let removals = futures::stream::iter(pods).map(|pod| self.remove_pod(pod));
            let mut removals = removals.buffer_unordered(CONCURRENCY);
            let mut done = 0;
            while let Some((name, outcome)) = removals.next().await {
                match outcome {
                    Ok(()) => done += 1,
                    Err(error) => failed.push(error.to_string()),
                }
                progress(done, total as u64, &name);
            }
            if failed.is_empty() && !self.pod_sandboxes().await?.iter().any(meant) {
                return Ok(total);
            }
        }
        Err(CriError::PodsRemain {
            count: failed.len(),
            pods: failed.join("; "),
        })
    }

    async fn remove_pod(&self, pod: PodSandbox) -> (String, Result<(), CriError>) {
        let name = format!("{}/{}", pod.namespace, pod.name);
        let mut runtime = self.runtime();
        let remove = async {
            let request = api::StopPodSandboxRequest {
                pod_sandbox_id: pod.id.clone(),
            };
            let stopped = runtime.stop_pod_sandbox(request);
            call_within(REMOVAL_TIMEOUT, &format!("stop pod {name}"), stopped).await?;
            let request = api::RemovePodSandboxRequest {
                pod_sandbox_id: pod.id,
            };
            let removed = runtime.remove_pod_sandbox(request);
            call_within(REMOVAL_TIMEOUT, &format!("remove pod {name}"), removed).await?;
            Ok(())
        };
        let outcome = match remove.await {
            Err(error @ CriError::Refused { .. }) if error.is_not_found() => Ok(()),
            outcome => outcome,
        };
        (name, outcome)
    }
}
