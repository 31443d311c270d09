//! Pods, removed through the container runtime when there is no API any more,
//! and without it where the runtime is gone too.

use std::path::Path;

use slipway_api::Check;
use slipway_api::step::RemovePods;

use super::{containers, needed};
use crate::context::Context;
use crate::cri::{CriClient, PodSandbox};
use crate::processes::Runtime;
use crate::{AgentError, command};

/// The namespace in containerd that CRI uses.
const NAMESPACE: &str = "k8s.io";

pub(super) async fn check_pods(step: &RemovePods, context: &Context) -> Result<Check, AgentError> {
    let Some(client) = connect(step, context).await? else {
        return Ok(needed(containers::running(pods_of(step), context)));
    };
    let pods = client.pod_sandboxes().await.map_err(runtime("list pods"))?;
    let count = pods.iter().filter(|pod| is_meant(pod, step)).count();
    Ok(needed(
        (count > 0).then(|| format!("{count} pods are there")),
    ))
}

pub(super) async fn apply_pods(step: &RemovePods, context: &Context) -> Result<(), AgentError> {
    let mut client = connect(step, context).await?;
    if client.is_none()
        && let Some(unit) = &step.unit
    {
        context.log(format!(
            "nobody listens on {}: starting {unit}",
            step.socket
        ));
        let _ = command::run("systemctl", &["reset-failed", unit]).await;
        match command::run("systemctl", &["start", unit]).await {
            Ok(_) => client = connect(step, context).await?,
            Err(error) => context.log(error.failure().to_string()),
        }
    }
    let Some(client) = client else {
        if step.keeps_static {
            return Err(AgentError::Blocked {
                message: format!("nobody listens on {}", step.socket),
                help: "start the container runtime: `systemctl start containerd`".to_owned(),
            });
        }
        context.log("without a container runtime the pods' processes are ended one by one");
        return containers::end(pods_of(step), context).await;
    };
    let mut progress = |done, total, doing: &str| context.progress(done, total, doing);
    let meant = |pod: &PodSandbox| is_meant(pod, step);
    let removed = client.stop_and_remove_pods(&meant, &mut progress).await;
    let unit = step.unit.as_ref().filter(|_| !step.keeps_static);
    match (removed, unit) {
        (Ok(_), _) => Ok(()),
        // Its records go with the runtime; what runs must not stay.
        (Err(error), Some(unit)) => {
            context.log(format!(
                "{error}; stopping {unit} and ending the pods' processes one by one"
            ));
            command::run("systemctl", &["stop", unit]).await?;
            containers::end(pods_of(step), context).await
        }
        (Err(error), None) => Err(AgentError::Blocked {
            message: error.to_string(),
            help: format!(
                "the runtime is not Slipway's: look at its log, `journalctl -u containerd`; `crictl -r unix://{} rmp -fa` removes pods by hand",
                step.socket
            ),
        }),
    }
}

/// A runtime of our own goes with everything in it; in another one only the
/// kubelet's pods are ours.
fn is_meant(pod: &PodSandbox, step: &RemovePods) -> bool {
    let is_ours = step.unit.is_some() || pod.is_kubelets;
    is_ours && !(step.keeps_static && pod.is_static)
}

fn pods_of(step: &RemovePods) -> Runtime<'_> {
    Runtime {
        socket: &step.socket,
        namespace: Some(NAMESPACE),
    }
}

/// Returns a client; none where no runtime listens.
async fn connect(step: &RemovePods, context: &Context) -> Result<Option<CriClient>, AgentError> {
    let socket = context.at(&step.socket);
    if tokio::net::UnixStream::connect(&socket).await.is_err() {
        return Ok(None);
    }
    let client = CriClient::connect(Path::new(&socket)).await;
    client
        .map(Some)
        .map_err(runtime("reach the container runtime"))
}

fn runtime<E: std::error::Error + Send + Sync + 'static>(
    doing: &str,
) -> impl FnOnce(E) -> AgentError {
    let doing = doing.to_owned();
    move |error| AgentError::Runtime {
        doing,
        source: Box::new(error),
    }
}
