//! Tells within seconds that a control-plane component does not come up, and why.

use slipway_api::step::Condition;
use slipway_api::{ImageReference, paths};

use super::wait_for::component_logs;
use crate::context::Context;
use crate::cri::{Container, ContainerState, CriClient};
use crate::{AgentError, files};

/// How often a component may end while it is waited for: what it depends on may be away for
/// a moment, once.
const ENDS: u32 = 2;

/// What is said of a component that does.
pub(super) const ENDS_AGAIN: &str = "it ends again and again";

/// Looks at a component's containers while something waits for it.
pub(super) struct ComponentWatch {
    component: &'static str,
    /// How often the container had been started when the wait began.
    attempts_before: u32,
}

impl ComponentWatch {
    /// Begins to look at the component that a condition is about; none where it is about none.
    pub async fn begin(condition: &Condition) -> Option<Self> {
        let component = component_of(condition)?;
        let newest = newest(component).await;
        Some(Self {
            component,
            attempts_before: newest.map_or(0, |container| container.attempt),
        })
    }

    /// Returns the error of a component that ends again and again.
    pub async fn failure(&self) -> Option<AgentError> {
        let newest = newest(self.component).await?;
        let has_ended = newest.state == ContainerState::Exited;
        let ends = newest.attempt.saturating_sub(self.attempts_before) + u32::from(has_ended);
        (ends >= ENDS).then_some(())?;
        let because = ENDS_AGAIN.to_owned();
        Some(does_not_come_up(self.component, paths::CONTAINERD_SOCKET, because).await)
    }
}

/// Returns the error of a component that does not come up, with what it said last.
pub(super) async fn does_not_come_up(component: &str, socket: &str, because: String) -> AgentError {
    AgentError::DoesNotComeUp {
        component: component.to_owned(),
        because,
        log_tail: component_logs(socket, &[component]).await,
    }
}

fn component_of(condition: &Condition) -> Option<&'static str> {
    match condition {
        Condition::EtcdHealthy => Some("etcd"),
        Condition::ApiServerReady => Some("kube-apiserver"),
        Condition::ControllerManagerHealthy => Some("kube-controller-manager"),
        Condition::SchedulerHealthy => Some("kube-scheduler"),
        Condition::KubeletHealthy
        | Condition::ControlPlaneHealthy
        | Condition::NodeUpgraded { .. }
        | Condition::NodeRegistered { .. }
        | Condition::NodeReady { .. }
        | Condition::KubeletBootstrapped { .. }
        | Condition::OwnNodeReady { .. }
        | Condition::DeploymentAvailable { .. } => None,
    }
}

async fn newest(component: &str) -> Option<Container> {
    let client = CriClient::connect(paths::CONTAINERD_SOCKET.as_ref()).await;
    let containers = client.ok()?.component_containers(component).await.ok()?;
    containers
        .into_iter()
        .max_by_key(|container| container.created_at)
}

/// Returns why no container of a static Pod comes up, where that can be told: its image is
/// missing, or the disk is full.
pub(super) async fn obstacle(name: &str, client: &CriClient, context: &Context) -> Option<String> {
    let manifest = format!("{}/{name}.yaml", paths::MANIFESTS_DIR);
    let text = files::read_text(&context.at(&manifest)).ok().flatten();
    let Some(text) = text else {
        return Some(format!("{manifest} is not there"));
    };
    let image = text
        .lines()
        .find_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image: "))
        .and_then(|image| image.trim_matches('"').parse::<ImageReference>().ok());
    if let Some(image) = image
        && client.image_present(&image).await.is_ok_and(|it| !it)
    {
        return Some(format!(
            "image {image} is not on this host, and the kubelet could not pull it"
        ));
    }
    let folders = [paths::ETCD_DIR, paths::KUBELET_DIR, paths::CONTAINERD_DIR];
    folders.into_iter().find_map(|folder| {
        let found = rustix::fs::statvfs(context.at(folder)).ok()?;
        let is_full = found.f_bavail == 0 || (found.f_files > 0 && found.f_favail == 0);
        is_full.then(|| format!("the disk of {folder} is full"))
    })
}
