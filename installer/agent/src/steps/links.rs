//! Network links that Kubernetes' addons made.

use std::path::Path;

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
        let deleted = command::run("ip", &["link", "delete", "dev", &link]).await;
        // A link whose other end was deleted goes by itself.
        if is_there(&link, context) {
            deleted?;
        }
    }
    Ok(())
}

/// Returns the links that are there, those attached to a bridge before it.
fn present(step: &RemoveLinks, context: &Context) -> Vec<String> {
    let mut found = Vec::new();
    for link in &step.links {
        if is_there(link, context) {
            found.extend(attached(&context.at("/sys/class/net").join(link)));
            found.push(link.clone());
        }
    }
    found
}

fn is_there(link: &str, context: &Context) -> bool {
    let path = context.at("/sys/class/net").join(link);
    path.symlink_metadata().is_ok()
}

/// Returns the pods' ends among the links that are attached to a bridge.
fn attached(bridge: &Path) -> Vec<String> {
    let ports = std::fs::read_dir(bridge.join("brif"));
    let names = ports.into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("veth")).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;

    #[test]
    fn the_pods_ends_on_the_bridge_go_with_it() {
        let root = tempfile::tempdir().unwrap();
        for name in ["cni0/brif/veth12ab", "cni0/brif/eth1", "eth0"] {
            std::fs::create_dir_all(root.path().join("sys/class/net").join(name)).unwrap();
        }
        let events = tokio::sync::mpsc::unbounded_channel().0;
        let context = Context::new(root.path(), events, Attachment::default());
        let links = ["cni0", "flannel.1"].map(str::to_owned).to_vec();
        let Check::Needed { because } = check_links(&RemoveLinks { links }, &context).unwrap()
        else {
            panic!("there are links");
        };
        assert_eq!(because, "there: veth12ab, cni0");
    }
}
