//! Network namespaces that a network's pods left, told by what CNI remembers.
//!
//! Their names alone do not tell whose they are: podman 3 names its own alike.

use std::path::PathBuf;

use serde_json::Value;
use slipway_api::step::RemoveNamespaces;
use slipway_api::{Check, paths};

use super::mounts::detach_at;
use super::needed;
use crate::AgentError;
use crate::context::Context;

/// Where CNI keeps what its plugins answered, below its own folder; the second
/// is that of older versions. Source: `libcni/api.go`.
const RESULTS: [&str; 2] = ["results", "cache/results"];

/// Where network namespaces have their names.
const NAMES: &str = "/run/netns";

pub(super) fn check_namespaces(
    step: &RemoveNamespaces,
    context: &Context,
) -> Result<Check, AgentError> {
    let found = present(step, context).len();
    Ok(needed((found > 0).then(|| format!("{found} are there"))))
}

pub(super) fn apply_namespaces(
    step: &RemoveNamespaces,
    context: &Context,
) -> Result<(), AgentError> {
    for path in present(step, context) {
        detach_at(&path)?;
        std::fs::remove_file(&path).map_err(AgentError::file("delete", &path))?;
    }
    Ok(())
}

fn present(step: &RemoveNamespaces, context: &Context) -> Vec<PathBuf> {
    let folders = RESULTS
        .iter()
        .map(|name| context.at(paths::CNI_STATE_DIR).join(name));
    let files = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let texts = files.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let results = texts.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
    let is_ours = |result: &Value| {
        let network = result["networkName"].as_str().unwrap_or_default();
        step.networks.iter().any(|name| name == network)
    };
    let namespace = |result: Value| {
        let name = result["netns"].as_str()?.rsplit('/').next()?.to_owned();
        name.starts_with("cni-")
            .then(|| context.at(NAMES).join(name))
    };
    let mut found: Vec<PathBuf> = results
        .filter(is_ours)
        .filter_map(namespace)
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use slipway_api::protocol::Attachment;

    #[test]
    fn only_the_namespaces_of_our_network_go() {
        let root = tempfile::tempdir().unwrap();
        let events = tokio::sync::mpsc::unbounded_channel().0;
        let context = Context::new(root.path(), events, Attachment::default());
        for (network, namespace) in [
            ("cbr0", "cni-1"),
            ("podman", "cni-2"),
            ("cbr0", "../../etc/x"),
        ] {
            let result = format!(
                r#"{{"kind":"cniCacheV1","networkName":"{network}","netns":"/var/run/netns/{namespace}"}}"#
            );
            let name = namespace.replace('/', "-");
            let path = context
                .at("/var/lib/cni/results")
                .join(format!("{network}-{name}-eth0"));
            files::write(&path, 0o600, result.as_bytes()).unwrap();
        }
        for name in ["cni-1", "cni-2", "x"] {
            files::write(&context.at("/run/netns").join(name), 0o444, b"").unwrap();
        }
        let step = RemoveNamespaces {
            networks: vec!["cbr0".to_owned()],
        };
        assert!(matches!(
            check_namespaces(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_namespaces(&step, &context).unwrap();
        assert_eq!(check_namespaces(&step, &context).unwrap(), Check::Satisfied);
        assert!(!context.at("/run/netns/cni-1").exists());
        assert!(context.at("/run/netns/cni-2").exists() && context.at("/run/netns/x").exists());
    }
}
