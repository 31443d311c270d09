//! Containers as a container runtime has them.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_cri::v1 as api;

use super::client::{call, call_within};
use super::pod_sandbox::time;
use super::{CriClient, CriError};

/// The label that carries the container's name in its pod.
const CONTAINER_NAME_LABEL: &str = "io.kubernetes.container.name";
/// The label that carries the pod's namespace.
const POD_NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";
/// The label that carries the pod's name.
const POD_NAME_LABEL: &str = "io.kubernetes.pod.name";

/// What a runtime gets beyond a container's own grace.
const STOP_MARGIN: Duration = Duration::from_secs(20);

/// A container as a container runtime has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime's ID.
    pub id: String,
    /// The container's name in its pod.
    pub name: String,
    /// The namespace of its pod; empty where Kubernetes did not make it.
    pub pod_namespace: String,
    /// The name of its pod; empty where Kubernetes did not make it.
    pub pod_name: String,
    /// What it does.
    pub state: ContainerState,
    /// How often it was started before.
    pub attempt: u32,
    /// The image, as the runtime writes it.
    pub image: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// It was made and not started.
    Created,
    /// It runs.
    Running,
    /// It ended.
    Exited,
    /// The runtime cannot tell.
    Unknown,
}

impl From<api::Container> for Container {
    fn from(container: api::Container) -> Self {
        let state = match container.state() {
            api::ContainerState::ContainerCreated => ContainerState::Created,
            api::ContainerState::ContainerRunning => ContainerState::Running,
            api::ContainerState::ContainerExited => ContainerState::Exited,
            api::ContainerState::ContainerUnknown => ContainerState::Unknown,
        };
        let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
        let (pod_namespace, pod_name) = (label(POD_NAMESPACE_LABEL), label(POD_NAME_LABEL));
        let metadata = container.metadata.unwrap_or_default();
        Self {
            id: container.id,
            name: metadata.name,
            pod_namespace,
            pod_name,
            state,
            attempt: metadata.attempt,
            image: container.image.unwrap_or_default().image,
            created_at: time(container.created_at),
        }
    }
}

impl CriClient {
    /// Returns all containers, also those that ended.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn containers(&self) -> Result<Vec<Container>, CriError> {
        self.containers_labelled(HashMap::new()).await
    }

    /// Returns the containers of a control-plane component such as
    /// `kube-apiserver`, also those that ended.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn component_containers(&self, component: &str) -> Result<Vec<Container>, CriError> {
        let labels = HashMap::from([
            (CONTAINER_NAME_LABEL.to_owned(), component.to_owned()),
            (POD_NAMESPACE_LABEL.to_owned(), "kube-system".to_owned()),
        ]);
        self.containers_labelled(labels).await
    }

    /// Ends a container; one that lives longer than `grace` is killed.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), CriError> {
        let request = api::StopContainerRequest {
            container_id: id.to_owned(),
            timeout: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
        };
        let mut runtime = self.runtime();
        let stopped = runtime.stop_container(request);
        match call_within(grace + STOP_MARGIN, "stop a container", stopped).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Returns the containers that have all these labels.
    async fn containers_labelled(
        &self,
        label_selector: HashMap<String, String>,
    ) -> Result<Vec<Container>, CriError> {
        let request = api::ListContainersRequest {
            filter: Some(api::ContainerFilter {
                label_selector,
                ..api::ContainerFilter::default()
            }),
        };
        let mut runtime = self.runtime();
        let answer = call("list containers", runtime.list_containers(request)).await?;
        Ok(answer.containers.into_iter().map(Into::into).collect())
    }
}
