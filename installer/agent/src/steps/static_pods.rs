//! Static Pods: their containers run with their files as they are.

use std::time::{Duration, Instant, SystemTime};

use slipway_api::step::EnsureStaticPod;
use slipway_api::{Check, paths};

use super::needed;
use super::wait_for::component_logs;
use crate::AgentError;
use crate::context::Context;
use crate::cri::{Container, ContainerState, CriClient};
use crate::start_record::StartRecord;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a kubelet may take to see that a manifest changed: it looks every
/// 20 s by itself (`fileCheckFrequency`), and stops the old container then.
const MANIFEST_LIMIT: Duration = Duration::from_secs(60);
/// How long a component may take to end by itself: a Pod's default grace.
const GRACE: Duration = Duration::from_secs(30);

pub(super) async fn check_static_pod(
    step: &EnsureStaticPod,
    context: &Context,
) -> Result<Check, AgentError> {
    let Ok(client) = CriClient::connect(&context.at(&step.socket)).await else {
        return Ok(needed(Some("the container runtime does not run yet")));
    };
    let Some(container) = running(&client, step).await? else {
        return Ok(needed(Some("it does not run")));
    };
    let changed = changed(step, &container, context)?;
    Ok(needed(
        changed
            .first()
            .map(|file| format!("{file} changed after it started")),
    ))
}

pub(super) async fn apply_static_pod(
    step: &EnsureStaticPod,
    context: &Context,
) -> Result<(), AgentError> {
    let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
    let client = CriClient::connect(&context.at(&step.socket)).await;
    let client = client.map_err(runtime("reach the container runtime".to_owned()))?;
    let record = StartRecord::look(&all_files(step), context);
    let old = running(&client, step).await?;
    let mut new = None;
    if let Some(old) = &old {
        if changed(step, old, context)?.contains(&manifest(step)) {
            // The kubelet replaces the whole Pod: stopping the container first
            // would start the old one again.
            let limit = deadline.min(Instant::now() + MANIFEST_LIMIT);
            new = replacement(&client, step, &old.id, limit).await?;
        }
        if new.is_none() {
            context.log(format!(
                "stopping {}, the kubelet starts it again",
                step.name
            ));
            let stopped = client.stop_container(&old.id, GRACE).await;
            stopped.map_err(runtime(format!("stop {}", step.name)))?;
        }
    }
    let old_id = old.map_or_else(String::new, |old| old.id);
    if new.is_none() {
        new = replacement(&client, step, &old_id, deadline).await?;
    }
    match new {
        Some(new) => record.save(&step.name, &new.id, context),
        None => Err(AgentError::TimedOut {
            condition: format!("static Pod {} runs", step.name),
            seconds: step.timeout_seconds,
            seen: "its container does not run".to_owned(),
            log_tail: component_logs(&step.socket, &[&step.name]).await,
            help: "look at: journalctl -u kubelet, and the files in /var/log/pods".to_owned(),
        }),
    }
}

/// Waits for a running container that is not the old one.
async fn replacement(
    client: &CriClient,
    step: &EnsureStaticPod,
    old: &str,
    deadline: Instant,
) -> Result<Option<Container>, AgentError> {
    loop {
        if let Some(container) = running(client, step).await?
            && container.id != old
        {
            return Ok(Some(container));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns the newest running container of the component.
async fn running(
    client: &CriClient,
    step: &EnsureStaticPod,
) -> Result<Option<Container>, AgentError> {
    let containers = client.component_containers(&step.name).await;
    let containers = containers.map_err(runtime("list containers".to_owned()))?;
    let found = containers
        .into_iter()
        .filter(|container| container.state == ContainerState::Running);
    Ok(found.max_by_key(|container| container.created_at))
}

fn changed(
    step: &EnsureStaticPod,
    container: &Container,
    context: &Context,
) -> Result<Vec<String>, AgentError> {
    let files = all_files(step);
    let started = Some(SystemTime::from(container.created_at));
    let changed = StartRecord::changed(&step.name, &container.id, started, &files, context)?;
    Ok(changed.into_iter().map(str::to_owned).collect())
}

fn all_files(step: &EnsureStaticPod) -> Vec<String> {
    std::iter::once(manifest(step))
        .chain(step.files.iter().cloned())
        .collect()
}

fn manifest(step: &EnsureStaticPod) -> String {
    format!("{}/{}.yaml", paths::MANIFESTS_DIR, step.name)
}

fn runtime(doing: String) -> impl FnOnce(crate::cri::CriError) -> AgentError {
    move |error| AgentError::Runtime {
        doing,
        source: Box::new(error),
    }
}
