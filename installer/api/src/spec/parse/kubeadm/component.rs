//! What a component of the control plane gets beyond kubeadm's own: flags,
//! volumes, environment and names of its certificates.

use std::net::IpAddr;

use super::schemas::{ARGUMENT, ENVIRONMENT, VOLUME};
use crate::spec::parse::fields::Fields;
use crate::spec::parse::json::to_json;
use crate::spec::parse::names::is_subdomain;
use crate::spec::parse::problems::{Problems, excerpt};
use crate::spec::parse::schema::{closest, list};
use crate::spec::parse::tree::Content;
use crate::spec::parse::value::Value;
use crate::spec::{ControlPlaneComponent, ExtraArg, ExtraEnv, ExtraVolume};

/// Kubernetes' `HostPathType`.
const PATH_TYPES: [&str; 7] = [
    "DirectoryOrCreate",
    "Directory",
    "FileOrCreate",
    "File",
    "Socket",
    "CharDevice",
    "BlockDevice",
];

/// Reads what all components have.
pub(super) fn read_component(
    fields: &Fields<'_>,
    problems: &mut Problems,
) -> ControlPlaneComponent {
    ControlPlaneComponent {
        extra_args: read_arguments(fields, problems),
        extra_volumes: read_each(fields, "extraVolumes", read_volume, problems),
        extra_envs: read_environment(fields, problems),
    }
}

/// Reads `extraArgs`.
pub(super) fn read_arguments(fields: &Fields<'_>, problems: &mut Problems) -> Vec<ExtraArg> {
    let Some(value) = fields.optional("extraArgs") else {
        return Vec::new();
    };
    if let Content::Mapping(_) = value.node.content() {
        problems.report(
            &value.place,
            "`extraArgs` is a mapping, as in kubeadm's v1beta3",
            "v1beta4 takes a list, in which a flag may repeat: `- { name: v, value: \"4\" }`",
        );
        return Vec::new();
    }
    read_each(fields, "extraArgs", read_argument, problems)
}

/// Reads `extraEnvs`.
pub(super) fn read_environment(fields: &Fields<'_>, problems: &mut Problems) -> Vec<ExtraEnv> {
    read_each(fields, "extraEnvs", read_variable, problems)
}

/// Reads names and addresses of a certificate, lower case as kubeadm keeps them.
pub(super) fn read_names(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Vec<String> {
    let items = fields
        .optional(name)
        .and_then(|value| value.items(problems));
    let mut names = Vec::new();
    for item in items.unwrap_or_default() {
        let Some(text) = item.text(problems) else {
            continue;
        };
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_prefix("*.").unwrap_or(&lower);
        if text.parse::<IpAddr>().is_err() && !is_subdomain(bare) {
            problems.report(
                &item.place,
                format!(
                    "`{}` is neither an IP address nor a DNS name",
                    excerpt(text)
                ),
                "write an address, a DNS name, or a name that begins with `*.`",
            );
            continue;
        }
        names.push(lower);
    }
    names
}

fn read_each<T>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&Value<'_>, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) -> Vec<T> {
    let items = fields
        .optional(name)
        .and_then(|value| value.items(problems));
    let items = items.unwrap_or_default();
    items
        .iter()
        .filter_map(|item| read(item, problems))
        .collect()
}

fn read_argument(item: &Value<'_>, problems: &mut Problems) -> Option<ExtraArg> {
    const HELP: &str = "write `- { name: v, value: \"4\" }`";
    if let Content::Scalar(_) = item.node.content() {
        let message = format!("`{}` must be a mapping, and this is text", item.place.name);
        problems.report(&item.place, message, HELP);
        return None;
    }
    let fields = item.fields(&ARGUMENT, problems)?;
    let value = fields.optional("value");
    let value = value.map(|value| value.any_text(problems).map(str::to_owned));
    let name = fields.required("name", HELP, problems)?;
    let text = name.text(problems)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.starts_with('-') || !text.chars().all(is_plain) {
        problems.report(
            &name.place,
            format!("`{}` is not the name of a flag", excerpt(text)),
            "write the name without dashes before it, and the value as `value`",
        );
        return None;
    }
    Some(ExtraArg {
        name: text.to_owned(),
        value: value.unwrap_or_else(|| Some(String::new()))?,
    })
}

fn read_volume(item: &Value<'_>, problems: &mut Problems) -> Option<ExtraVolume> {
    const HELP: &str = "write `- { name: audit, hostPath: /etc/kubernetes/audit, mountPath: /etc/kubernetes/audit, readOnly: true }`";
    let fields = item.fields(&VOLUME, problems)?;
    let mut text = |name: &str| {
        let value = fields.required(name, HELP, problems)?;
        Some((value.text(problems)?, value.place))
    };
    let (name, host_path, mount_path) = (text("name"), text("hostPath"), text("mountPath"));
    let read_only = fields
        .optional("readOnly")
        .and_then(|value| value.boolean(problems));
    let path_type = fields.optional("pathType").and_then(|value| {
        let text = value.any_text(problems)?;
        if !text.is_empty() && !PATH_TYPES.contains(&text) {
            let help = match closest(text, PATH_TYPES) {
                Some(meant) => format!("write `pathType: {meant}`"),
                None => format!("write one of {}", list(&PATH_TYPES)),
            };
            let message = format!("`{}` is not a type of path", excerpt(text));
            problems.report(&value.place, message, help);
        }
        Some(text.to_owned())
    });
    let (name, host_path, mount_path) = (name?, host_path?, mount_path?);
    if name.0.len() > 63 || name.0.contains('.') || !is_subdomain(name.0) {
        problems.report(
            &name.1,
            format!("`{}` is not a volume's name", excerpt(name.0)),
            "use lower-case letters, digits and `-`, at most 63 characters",
        );
    }
    for (path, place) in [&host_path, &mount_path] {
        if !path.starts_with('/') {
            let message = format!("`{}` is not an absolute path", excerpt(path));
            problems.report(place, message, "begin it with `/`");
        }
    }
    Some(ExtraVolume {
        name: name.0.to_owned(),
        host_path: host_path.0.to_owned(),
        mount_path: mount_path.0.to_owned(),
        read_only: read_only.unwrap_or_default(),
        path_type: path_type.unwrap_or_default(),
    })
}

fn read_variable(item: &Value<'_>, problems: &mut Problems) -> Option<ExtraEnv> {
    const HELP: &str = "write `- { name: GODEBUG, value: \"\" }`";
    let fields = item.fields(&ENVIRONMENT, problems)?;
    let value = match fields.optional("value") {
        Some(value) => value.any_text(problems)?.to_owned(),
        None => String::new(),
    };
    let source = fields.optional("valueFrom");
    let value_from = source.as_ref().and_then(|source| {
        let mut json = to_json(source.node, &source.place, problems);
        if !json.is_object() {
            let help = "write `valueFrom: { fieldRef: { fieldPath: status.podIP } }`";
            problems.report(&source.place, "`valueFrom` must be a mapping", help);
            return None;
        }
        // kubeadm's default, which the API server would fill in as well.
        if let Some(reference) = json
            .get_mut("fieldRef")
            .and_then(|found| found.as_object_mut())
        {
            reference.entry("apiVersion").or_insert_with(|| "v1".into());
        }
        Some(json)
    });
    let name = fields.required("name", HELP, problems)?;
    if let (false, Some(source)) = (value.is_empty(), &source) {
        problems.report(
            &source.place,
            "both `value` and `valueFrom` are given",
            "remove one of them",
        );
    }
    Some(ExtraEnv {
        name: name.text(problems)?.to_owned(),
        value,
        value_from,
    })
}
