//! Where kubeadm's joins find the API, when the node that they are sent to goes.

use slipway_api::step::MoveEndpoint;
use slipway_api::{Check, paths};

use super::{client, failed, needed};
use crate::AgentError;
use crate::context::Context;
use crate::kubernetes::{ApiClient, KUBE_SYSTEM};

/// The ConfigMaps that name the endpoint: namespace, name and key.
const PLACES: [(&str, &str, &str); 2] = [
    (KUBE_SYSTEM, "kubeadm-config", "ClusterConfiguration"),
    ("kube-public", "cluster-info", "kubeconfig"),
];

pub(super) async fn check_moved(
    step: &MoveEndpoint,
    context: &Context,
) -> Result<Check, AgentError> {
    let client = client(context, paths::ADMIN_CONF).await?;
    for place in PLACES {
        if moved(step, place, &client).await?.is_some() {
            let (_, name, _) = place;
            return Ok(needed(Some(format!("{name} names {}", step.from))));
        }
    }
    Ok(Check::Satisfied)
}

pub(super) async fn apply_move(step: &MoveEndpoint, context: &Context) -> Result<(), AgentError> {
    let client = client(context, paths::ADMIN_CONF).await?;
    for place in PLACES {
        let Some(text) = moved(step, place, &client).await? else {
            continue;
        };
        let (namespace, name, key) = place;
        let patched = client.patch_config_map(namespace, name, key, &text).await;
        patched.map_err(failed(format!("write ConfigMap {namespace}/{name}")))?;
        context.log(format!("{name} names {}", step.to));
    }
    Ok(())
}

/// Returns a place's text with the address that stays; none where it does not
/// name the one that goes.
async fn moved(
    step: &MoveEndpoint,
    (namespace, name, key): (&str, &str, &str),
    client: &ApiClient,
) -> Result<Option<String>, AgentError> {
    let data = client.get_config_map(namespace, name).await;
    let data = data.map_err(failed(format!("read ConfigMap {namespace}/{name}")))?;
    let text = data.and_then(|mut data| data.remove(key));
    Ok(text.and_then(|text| replaced(&text, &step.from, &step.to)))
}

/// Returns a text with one address for another, wherever it stands as a whole.
fn replaced(text: &str, from: &str, to: &str) -> Option<String> {
    let lines = text.lines().map(|line| {
        let value = line.trim_end().strip_suffix(from);
        let whole = value.filter(|before| before.ends_with([' ', '/', '"', '\'']));
        whole.map_or_else(|| line.to_owned(), |before| format!("{before}{to}"))
    });
    let mut found = lines.collect::<Vec<_>>().join("\n");
    if text.ends_with('\n') {
        found.push('\n');
    }
    (found != text).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_address_is_replaced() {
        let text = "controlPlaneEndpoint: 10.0.0.1:6443\nother: 110.0.0.1:6443\nserver: https://10.0.0.1:6443\n";
        assert_eq!(
            replaced(text, "10.0.0.1:6443", "10.0.0.2:6443").unwrap(),
            "controlPlaneEndpoint: 10.0.0.2:6443\nother: 110.0.0.1:6443\nserver: https://10.0.0.2:6443\n"
        );
        assert_eq!(replaced(text, "10.0.0.9:6443", "10.0.0.2:6443"), None);
    }
}
