//! Network links that Kubernetes' addons made.

use slipway_api::Check;
use slipway_api::step::RemoveLinks;

use super::needed;
use crate::context::Context;
use crate::{AgentError, command};

pub(super) fn check_links(step: &RemoveLinks, context: &Context) -> Result<Check, AgentError> {
    let found = present(step, context);
    Ok(needed(
        (!found.is_empty()).then(|| format!("there: {}", found.join(", "))),
    ))
}

pub(super) async fn apply_links(step: &RemoveLinks, context: &Context) -> Result<(), AgentError> {
    for link in present(step, context) {
        command::run("ip", &["link", "delete", "dev", link]).await?;
    }
    Ok(())
}

fn present<'a>(step: &'a RemoveLinks, context: &Context) -> Vec<&'a str> {
    let net = context.at("/sys/class/net");
    let is_there = |link: &&str| net.join(link).symlink_metadata().is_ok();
    step.links
        .iter()
        .map(String::as_str)
        .filter(is_there)
        .collect()
}
