//! Pods, removed through the container runtime when there is no API any more.

use std::path::Path;

use slipway_api::Check;
use slipway_api::step::RemovePods;

use super::needed;
use crate::AgentError;
use crate::context::Context;
use crate::cri::CriClient;

pub(super) async fn check_pods(step: &RemovePods, context: &Context) -> Result<Check, AgentError> {
    let Some(client) = connect(step, context).await? else {
        return Ok(Check::Satisfied);
    };
    let pods = client.pod_sandboxes().await.map_err(runtime("list pods"))?;
    Ok(needed(
        (!pods.is_empty()).then(|| format!("{} pods are there", pods.len())),
    ))
}

pub(super) async fn apply_pods(step: &RemovePods, context: &Context) -> Result<(), AgentError> {
    let Some(client) = connect(step, context).await? else {
        return Ok(());
    };
    client
        .stop_and_remove_all_pods(&mut |done, total, doing| context.progress(done, total, doing))
        .await
        .map(drop)
        .map_err(runtime("remove pods"))
}

/// Returns a client; none where no runtime listens, and so no pod can run.
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
