//! Static Pods that are stopped for a while: their manifests lie aside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use slipway_api::step::{HoldStaticPods, ReleaseStaticPods};
use slipway_api::{Check, paths};

use super::needed;
use super::wait_for::component_logs;
use crate::context::Context;
use crate::cri::{ContainerState, CriClient, CriError, PodSandbox};
use crate::{AgentError, command, files};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the kubelet has to stop what has no manifest any more: twice the grace period of
/// static Pods, which an API server uses up. One that was started since its API server last
/// answered stops nothing: after an outage of all control-plane hosts that is every kubelet.
/// Source: `deletePod` in `pkg/kubelet/kubelet.go`.
const KUBELET_PATIENCE: Duration = Duration::from_secs(60);
/// How long a container has to end.
const GRACE: Duration = Duration::from_secs(30);

const KUBELET: &str = "kubelet.service";

pub(super) async fn check_held(
    step: &HoldStaticPods,
    context: &Context,
) -> Result<Check, AgentError> {
    for name in &step.names {
        if manifest(name, context).exists() {
            return Ok(needed(Some(format!("{name} is to be stopped"))));
        }
    }
    let running = running(&step.names, &step.socket, context).await?;
    let first = running.first();
    Ok(needed(first.map(|name| format!("{name} still runs"))))
}

pub(super) async fn apply_held(step: &HoldStaticPods, context: &Context) -> Result<(), AgentError> {
    files::make_private_dir(&context.at(paths::HELD_DIR))?;
    for name in &step.names {
        move_if_there(&manifest(name, context), &held(name, context))?;
    }
    let started = Instant::now();
    let deadline = started + Duration::from_secs(step.timeout_seconds);
    let mut is_left_to_kubelet = true;
    loop {
        let running = running(&step.names, &step.socket, context).await?;
        if running.is_empty() {
            return Ok(());
        }
        if is_left_to_kubelet && started.elapsed() >= KUBELET_PATIENCE {
            is_left_to_kubelet = false;
            context.log(format!(
                "the kubelet does not stop {}: it is stopped meanwhile, and they are removed",
                running.join(", ")
            ));
            remove_without_kubelet(&running, step, context).await?;
            continue;
        }
        if Instant::now() >= deadline {
            return Err(AgentError::TimedOut {
                condition: format!("{} is stopped", step.names.join(", ")),
                seconds: step.timeout_seconds,
                seen: format!("{} still runs", running.join(", ")),
                log_tail: super::units::journal_tail("kubelet.service").await,
                help: "look at: journalctl -u kubelet".to_owned(),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes the Pods of components while the kubelet is stopped; started again it does not know
/// them any more.
async fn remove_without_kubelet(
    names: &[String],
    step: &HoldStaticPods,
    context: &Context,
) -> Result<(), AgentError> {
    let failed = |error: CriError| AgentError::Runtime {
        doing: "remove the control plane's Pods".to_owned(),
        source: Box::new(error),
    };
    let client = CriClient::connect(&context.at(&step.socket)).await;
    let client = client.map_err(failed)?;
    command::run("systemctl", &["stop", KUBELET]).await?;
    for name in names {
        let containers = client.component_containers(name).await.map_err(failed)?;
        let running = containers
            .iter()
            .filter(|it| it.state == ContainerState::Running);
        for container in running {
            let stopped = client.stop_container(&container.id, GRACE).await;
            stopped.map_err(failed)?;
        }
    }
    let is_meant = |pod: &PodSandbox| {
        let mut all = names.iter();
        pod.is_static && all.any(|name| pod.name.starts_with(&format!("{name}-")))
    };
    let mut progress = |done, total, doing: &str| context.progress(done, total, doing);
    let removed = client.stop_and_remove_pods(&is_meant, &mut progress).await;
    removed.map_err(failed)?;
    command::run("systemctl", &["start", KUBELET])
        .await
        .map(drop)
}

pub(super) async fn check_released(
    step: &ReleaseStaticPods,
    context: &Context,
) -> Result<Check, AgentError> {
    for name in &step.names {
        if held(name, context).exists() {
            return Ok(needed(Some(format!("{name} was stopped"))));
        }
    }
    let running = running(&step.names, &step.socket, context).await?;
    let mut there = step
        .names
        .iter()
        .filter(|name| manifest(name, context).exists());
    let stopped = there.find(|name| !running.contains(name));
    Ok(needed(stopped.map(|name| format!("{name} does not run"))))
}

pub(super) async fn apply_released(
    step: &ReleaseStaticPods,
    context: &Context,
) -> Result<(), AgentError> {
    let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
    for name in &step.names {
        move_if_there(&held(name, context), &manifest(name, context))?;
        if !manifest(name, context).exists() {
            // Somebody runs this host without it.
            continue;
        }
        let only = std::slice::from_ref(name);
        while running(only, &step.socket, context).await?.is_empty() {
            if Instant::now() >= deadline {
                return Err(AgentError::TimedOut {
                    condition: format!("static Pod {name} runs"),
                    seconds: step.timeout_seconds,
                    seen: "its container does not run".to_owned(),
                    log_tail: component_logs(&step.socket, &[name]).await,
                    help: "look at: journalctl -u kubelet, and the files in /var/log/pods"
                        .to_owned(),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Returns those of the components that have a running container.
async fn running(
    names: &[String],
    socket: &str,
    context: &Context,
) -> Result<Vec<String>, AgentError> {
    let failed = |doing: &str| {
        let doing = doing.to_owned();
        |error: CriError| AgentError::Runtime {
            doing,
            source: Box::new(error),
        }
    };
    let client = CriClient::connect(&context.at(socket)).await;
    let client = client.map_err(failed("reach the container runtime"))?;
    let mut running = Vec::new();
    for name in names {
        let containers = client.component_containers(name).await;
        let containers = containers.map_err(failed("list containers"))?;
        if containers
            .iter()
            .any(|container| container.state == ContainerState::Running)
        {
            running.push(name.clone());
        }
    }
    Ok(running)
}

/// Moves a manifest: the kubelet must never see half of one.
fn move_if_there(from: &Path, to: &Path) -> Result<(), AgentError> {
    let text = match std::fs::read(from) {
        Ok(text) => text,
        Err(error) if files::is_absent(&error) => return Ok(()),
        Err(error) => return Err(AgentError::file("read", from)(error)),
    };
    // The two folders may lie on different file systems.
    files::write(to, 0o600, &text)?;
    std::fs::remove_file(from).map_err(AgentError::file("delete", from))
}

fn manifest(name: &str, context: &Context) -> PathBuf {
    context.at(&format!("{}/{name}.yaml", paths::MANIFESTS_DIR))
}

fn held(name: &str, context: &Context) -> PathBuf {
    context.at(&format!("{}/{name}.yaml", paths::HELD_DIR))
}

#[cfg(test)]
mod tests {
    use slipway_api::protocol::Attachment;
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_manifest_goes_and_comes_back_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let events = mpsc::unbounded_channel().0;
        let context = Context::new(root.path(), events, Attachment::default());
        let (there, aside) = (manifest("etcd", &context), held("etcd", &context));
        files::write(&there, 0o600, b"kind: Pod\n").unwrap();
        move_if_there(&there, &aside).unwrap();
        assert!(!there.exists());
        // A run that was cut off in between does it again.
        move_if_there(&there, &aside).unwrap();
        move_if_there(&aside, &there).unwrap();
        assert_eq!(std::fs::read(&there).unwrap(), b"kind: Pod\n");
        assert!(!aside.exists());
    }
}
