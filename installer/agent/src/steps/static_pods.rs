//! Static Pods: their containers run with their files as they are.

use std::time::{Duration, Instant, SystemTime};

use slipway_api::step::EnsureStaticPod;
use slipway_api::{Check, paths};

use super::component_watch::{ENDS_AGAIN, does_not_come_up, obstacle};
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
/// The component that API servers ask.
const ETCD: &str = "etcd";
/// The component that asks it.
const API_SERVER: &str = "kube-apiserver";
/// How long the old container may take once the new manifest is there. An API server waits for
/// watches that nobody ends, until its Pod's grace of 30 s is over and it is killed; all other
/// requests are answered long before. etcd survives a kill at any moment.
const LINGER: Duration = Duration::from_secs(12);
/// How long nothing of a component may run until it is looked why.
const SILENCE: Duration = Duration::from_secs(12);
/// How long a component may take to end by itself: a Pod's default grace.
const GRACE: Duration = Duration::from_secs(30);

pub(super) async fn check_static_pod(
    step: &EnsureStaticPod,
    context: &Context,
) -> Result<Check, AgentError> {
    let Ok(client) = CriClient::connect(&context.at(&step.socket)).await else {
        return Ok(needed(Some("the container runtime does not run yet")));
    };
    let running = running(&client, step).await?;
    let Some(container) = running.first() else {
        return Ok(needed(Some("it does not run")));
    };
    if running.len() > 1 {
        return Ok(needed(Some("an older container of it still runs")));
    }
    let changed = changed(step, container, context)?;
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
    let old = newest_alone(&client, step).await?;
    let mut new = None;
    if let Some(old) = &old {
        let changed = changed(step, old, context)?;
        if changed.is_empty() {
            return record.save(&step.name, &old.id, context);
        }
        if changed.contains(&manifest(step)) {
            // The kubelet replaces the whole Pod: stopping the container first
            // would start the old one again.
            let limit = deadline.min(Instant::now() + MANIFEST_LIMIT);
            new = replacement(&client, step, &old.id, limit, context).await?;
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
        new = replacement(&client, step, &old_id, deadline, context).await?;
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

/// Returns the newest running container once it is the only one. A kubelet that
/// was restarted starts the new Pod while the old one still ends, and whoever asks
/// then whether the component is ready may hear the old one.
async fn newest_alone(
    client: &CriClient,
    step: &EnsureStaticPod,
) -> Result<Option<Container>, AgentError> {
    let deadline = Instant::now() + GRACE;
    loop {
        let mut running = running(client, step).await?;
        if running.len() > 1 && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        for older in running.drain(1.min(running.len())..) {
            let stopped = client.stop_container(&older.id, GRACE).await;
            stopped.map_err(runtime(format!("stop the older {}", step.name)))?;
        }
        return Ok(running.pop());
    }
}

/// Waits for a running container that is not the old one, and for the end of the old one.
async fn replacement(
    client: &CriClient,
    step: &EnsureStaticPod,
    old: &str,
    deadline: Instant,
    context: &Context,
) -> Result<Option<Container>, AgentError> {
    let begun = Instant::now();
    let mut seen = begun;
    let mut is_hurried = false;
    let mut is_freed = false;
    let mut first_attempt = None;
    loop {
        let all = containers(client, step).await?;
        let newest = all.iter().find(|container| container.id != old);
        let is_new = |it: &&Container| all.iter().all(|other| other.created_at <= it.created_at);
        if let Some(newest) = newest.filter(is_new).filter(|_| !old.is_empty()) {
            let first = *first_attempt.get_or_insert(newest.attempt);
            if newest.state == ContainerState::Exited && newest.attempt > first {
                let because = ENDS_AGAIN.to_owned();
                return Err(does_not_come_up(&step.name, &step.socket, because).await);
            }
        }
        let running: Vec<Container> = all.into_iter().filter(is_running).collect();
        if running.is_empty() && step.name == ETCD && !old.is_empty() && !is_freed {
            is_freed = true;
            free_kubelet(client, context).await?;
        }
        if !running.is_empty() {
            seen = Instant::now();
        } else if seen.elapsed() >= SILENCE {
            seen = Instant::now();
            if let Some(because) = obstacle(&step.name, client, context).await {
                return Err(does_not_come_up(&step.name, &step.socket, because).await);
            }
        }
        let lingers = running.iter().any(|container| container.id == old);
        if lingers && !is_hurried && begun.elapsed() >= LINGER {
            is_hurried = true;
            context.log(format!(
                "{} has not ended by itself within {} s: it is ended",
                step.name,
                LINGER.as_secs()
            ));
            let stopped = client.stop_container(old, Duration::from_secs(1)).await;
            stopped.map_err(runtime(format!("stop {}", step.name)))?;
        }
        if running.iter().all(|container| container.id != old)
            && let Some(container) = running.into_iter().next()
        {
            return Ok(Some(container));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Ends the API server beside an etcd that has ended, which the kubelet starts again.
///
/// Without etcd it answers nobody and refuses nobody, the kubelet among them: before it starts the
/// new etcd it deletes the old one's mirror pod, and waits 34 s for that. Seen in the lab. Nor do
/// balancers turn away at once from a server that is silent.
async fn free_kubelet(client: &CriClient, context: &Context) -> Result<(), AgentError> {
    let containers = client.component_containers(API_SERVER).await;
    let containers = containers.map_err(runtime("list containers".to_owned()))?;
    for container in containers.iter().filter(|it| is_running(it)) {
        context.log("the API server beside it has nobody to ask: it starts again too");
        let stopped = client
            .stop_container(&container.id, Duration::from_secs(1))
            .await;
        stopped.map_err(runtime(format!("stop {API_SERVER}")))?;
    }
    Ok(())
}

/// Returns the running containers of the component, the newest first.
async fn running(client: &CriClient, step: &EnsureStaticPod) -> Result<Vec<Container>, AgentError> {
    let mut containers = containers(client, step).await?;
    containers.retain(is_running);
    Ok(containers)
}

/// Returns the containers of the component, also those that ended, the newest first.
async fn containers(
    client: &CriClient,
    step: &EnsureStaticPod,
) -> Result<Vec<Container>, AgentError> {
    let containers = client.component_containers(&step.name).await;
    let mut containers = containers.map_err(runtime("list containers".to_owned()))?;
    containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
    Ok(containers)
}

fn is_running(container: &Container) -> bool {
    container.state == ContainerState::Running
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
