//! `kubeletExtraArgs`: further kubelet flags, as kubeadm's list or as a mapping.

use super::problems::{Located, Place, Problems, excerpt};
use super::schema::ARGUMENT;
use super::tree::Content;
use super::value::Value;
use crate::Release;

/// A kubelet flag without its dashes, and its value.
pub(super) type Argument = Located<(String, String)>;

/// Flags that Slipway sets from a field of its own.
const OWN_FLAGS: [(&str, &str); 8] = [
    ("node-ip", "write `internalAddress` on the host instead"),
    (
        "hostname-override",
        "write `hostnameOverride` on the host instead",
    ),
    ("register-with-taints", "write `taints` on the host instead"),
    (
        "container-runtime-endpoint",
        "write `spec.runtime.socket` instead",
    ),
    (
        "config",
        "add a `KubeletConfiguration` document to this file instead",
    ),
    (
        "config-dir",
        "add a `KubeletConfiguration` document to this file instead",
    ),
    (
        "kubeconfig",
        "remove it: Slipway gives each node its own kubeconfig",
    ),
    (
        "bootstrap-kubeconfig",
        "remove it: Slipway gives each node its own kubeconfig",
    ),
];

/// Reads the flags in the file's order.
pub(super) fn read_kubelet_args(value: &Value<'_>, problems: &mut Problems) -> Vec<Argument> {
    let arguments: Vec<Argument> = match value.node.content() {
        Content::Mapping(_) => value
            .entries(problems)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(key, value)| {
                let text = value.scalar(problems)?.to_owned();
                Some(Located {
                    value: (key.value.to_owned(), text),
                    place: key.place,
                })
            })
            .collect(),
        Content::Sequence(_) | Content::Scalar(_) => value
            .items(problems)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| read_item(item, problems))
            .collect(),
    };
    for argument in &arguments {
        check_name(&argument.value.0, &argument.place, problems);
    }
    arguments
}

/// Reports flags that the kubelet of `release` no longer knows.
pub(super) fn check_removed_flags(
    arguments: &[Argument],
    release: &Release,
    problems: &mut Problems,
) {
    const REMOVED_IN_1_35: &str = "pod-infra-container-image";
    for argument in arguments {
        if argument.value.0 == REMOVED_IN_1_35 && !release.pod_infra_container_image_flag {
            problems.report(
                &argument.place,
                format!(
                    "the kubelet of {} no longer knows `{REMOVED_IN_1_35}`",
                    release.kubernetes
                ),
                "remove it: the container runtime's configuration names the pause image",
            );
        }
    }
}

fn read_item(item: &Value<'_>, problems: &mut Problems) -> Option<Argument> {
    const HELP: &str = "write `- { name: max-pods, value: \"200\" }`";
    if let Content::Scalar(_) = item.node.content() {
        let message = format!("`{}` must be a mapping, and this is text", item.place.name);
        problems.report(&item.place, message, HELP);
        return None;
    }
    let fields = item.fields(&ARGUMENT, problems)?;
    let name = fields.required("name", HELP, problems);
    let value = fields.required("value", HELP, problems);
    let name = name?;
    let text = value?.scalar(problems)?.to_owned();
    Some(Located {
        value: (name.text(problems)?.to_owned(), text),
        place: name.place,
    })
}

fn check_name(name: &str, place: &Place, problems: &mut Problems) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if let Some(bare) = name.strip_prefix('-') {
        let bare = excerpt(bare.trim_start_matches('-'));
        problems.report(
            place,
            format!("`{}` begins with a dash", excerpt(name)),
            format!("write the flag's name alone: `{bare}`"),
        );
    } else if name.is_empty() || !name.chars().all(is_plain) {
        problems.report(
            place,
            format!("`{}` is not the name of a flag", excerpt(name)),
            "write the name and the value as two: `name: max-pods`, `value: \"200\"`",
        );
    } else if let Some((_, help)) = OWN_FLAGS.iter().find(|(own, _)| *own == name) {
        problems.report(place, format!("`{name}` is set by Slipway"), *help);
    }
}
