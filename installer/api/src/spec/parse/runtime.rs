//! `spec.runtime` and `spec.addons`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::problems::{Problems, excerpt};
use super::schema::{ADDONS, RUNTIME};
use super::value::Value;
use crate::spec::{Addons, Runtime, defaults};

/// Reads the container runtime's section; without one everything is the default.
pub(super) fn read_runtime(section: Option<&Value<'_>>, problems: &mut Problems) -> Runtime {
    let mut runtime = Runtime {
        socket: PathBuf::from(defaults::CRI_SOCKET),
        adopt: true,
        registry_mirrors: BTreeMap::new(),
        extra_config: None,
    };
    let Some(fields) = section.and_then(|section| section.fields(&RUNTIME, problems)) else {
        return runtime;
    };
    if let Some(socket) = fields
        .optional("socket")
        .and_then(|value| read_socket(&value, problems))
    {
        runtime.socket = socket;
    }
    if let Some(adopt) = fields
        .optional("adopt")
        .and_then(|value| value.boolean(problems))
    {
        runtime.adopt = adopt;
    }
    let mirrors = fields
        .optional("registryMirrors")
        .and_then(|value| value.entries(problems));
    for (registry, urls) in mirrors.unwrap_or_default() {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]*_".contains(c);
        if registry.value.is_empty() || !registry.value.chars().all(is_plain) {
            let message = format!("`{}` is not a registry's name", excerpt(registry.value));
            let help = "write the name that images begin with: `registry.k8s.io`";
            problems.report(&registry.place, message, help);
        }
        let urls = read_mirrors(&urls, problems);
        let name = registry.value.to_owned();
        runtime.registry_mirrors.insert(name, urls);
    }
    runtime.extra_config = fields
        .optional("extraConfig")
        .and_then(|value| value.text(problems))
        .map(str::to_owned);
    runtime
}

/// Reads the addons' section; without one everything is the default.
pub(super) fn read_addons(section: Option<&Value<'_>>, problems: &mut Problems) -> Addons {
    let metrics_server = section
        .and_then(|section| section.fields(&ADDONS, problems))
        .and_then(|fields| fields.optional("metricsServer"))
        .and_then(|value| value.boolean(problems));
    Addons {
        metrics_server: metrics_server.unwrap_or(true),
    }
}

/// kubeadm writes sockets as `unix://` URLs; both spellings mean the path.
pub(super) fn socket_path(text: &str) -> &str {
    text.strip_prefix("unix://").unwrap_or(text)
}

fn read_socket(value: &Value<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let text = value.text(problems)?;
    let path = socket_path(text);
    if !path.starts_with('/') || path.ends_with('/') {
        problems.report(
            &value.place,
            format!("`{}` is not the path of a Unix socket", excerpt(text)),
            format!("write an absolute path: `{}`", defaults::CRI_SOCKET),
        );
        return None;
    }
    Some(PathBuf::from(path))
}

fn read_mirrors(value: &Value<'_>, problems: &mut Problems) -> Vec<String> {
    let mut urls = Vec::new();
    for item in value.items(problems).unwrap_or_default() {
        let Some(text) = item.text(problems) else {
            continue;
        };
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next());
        match host {
            Some(host) if host.contains('@') => problems.report(
                &item.place,
                "the mirror's URL holds a login",
                "remove it: secrets do not belong in this file",
            ),
            Some(host) if !host.is_empty() && !text.contains(char::is_whitespace) => {
                urls.push(text.to_owned());
            }
            Some(_) | None => problems.report(
                &item.place,
                "this is not the URL of a registry mirror",
                "write `https://HOST` or `http://HOST`, with or without a port and path",
            ),
        }
    }
    urls
}
