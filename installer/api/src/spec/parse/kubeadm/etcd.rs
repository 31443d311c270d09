//! `etcd`: a member on every control-plane node, or a cluster of somebody else's.

use super::component::{read_arguments, read_environment, read_names};
use super::images::{read_repository, read_tag};
use super::schemas::{ETCD, EXTERNAL_ETCD, LOCAL_ETCD};
use crate::spec::parse::fields::Fields;
use crate::spec::parse::problems::{Problems, excerpt};
use crate::spec::parse::value::Value;
use crate::spec::{Etcd, ExternalEtcd, LocalEtcd};

/// Reads the section; without one everything is the default.
pub(super) fn read_etcd(section: Option<&Value<'_>>, problems: &mut Problems) -> Etcd {
    let default = Etcd::Local(LocalEtcd::default());
    let Some(fields) = section.and_then(|section| section.fields(&ETCD, problems)) else {
        return default;
    };
    let local = fields.optional("local");
    let external = fields.optional("external");
    if let (Some(_), Some(external)) = (&local, &external) {
        problems.report(
            &external.place,
            "both `local` and `external` are given",
            "remove one of them: etcd runs on the control-plane nodes, or elsewhere",
        );
    }
    match external {
        Some(external) => match external.fields(&EXTERNAL_ETCD, problems) {
            Some(fields) => Etcd::External(read_external(&fields, problems)),
            None => default,
        },
        None => match local.and_then(|local| local.fields(&LOCAL_ETCD, problems)) {
            Some(fields) => Etcd::Local(read_local(&fields, problems)),
            None => default,
        },
    }
}

fn read_local(fields: &Fields<'_>, problems: &mut Problems) -> LocalEtcd {
    let default = LocalEtcd::default();
    let data_dir = read_path(fields, "dataDir", problems);
    if let (Some(data_dir), Some(value)) = (&data_dir, fields.optional("dataDir"))
        && !is_own_folder(data_dir)
    {
        problems.report(
            &value.place,
            format!("`{data_dir}` cannot be etcd's own folder"),
            "write a folder that nothing else uses, such as `/srv/etcd`: `reset` empties it",
        );
    }
    LocalEtcd {
        image_repository: read_repository(fields, problems),
        image_tag: read_tag(fields, problems),
        data_dir: data_dir.unwrap_or(default.data_dir),
        extra_args: read_arguments(fields, problems),
        extra_envs: read_environment(fields, problems),
        server_cert_sans: read_names(fields, "serverCertSANs", problems),
        peer_cert_sans: read_names(fields, "peerCertSANs", problems),
    }
}

/// Says whether a folder may be etcd's alone: none of the system's, and none
/// that holds another folder of ours.
fn is_own_folder(path: &str) -> bool {
    const SYSTEM: [&str; 9] = [
        "/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sys", "/usr",
    ];
    const OTHERS: [&str; 8] = [
        "/home/x",
        "/opt/x",
        "/root/x",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/lib/slipway",
        "/var/log/x",
        "/var/run/x",
    ];
    let path = std::path::Path::new(path);
    path.components().count() > 2
        && !SYSTEM.iter().any(|system| path.starts_with(system))
        && !OTHERS.iter().any(|other| {
            let other = std::path::Path::new(other);
            other.starts_with(path) || (path.starts_with(other) && other.starts_with("/var/lib"))
        })
}

fn read_external(fields: &Fields<'_>, problems: &mut Problems) -> ExternalEtcd {
    let mut file = |name: &str| read_path(fields, name, problems).unwrap_or_default();
    let (ca_file, cert_file, key_file) = (file("caFile"), file("certFile"), file("keyFile"));
    if cert_file.is_empty() != key_file.is_empty() {
        problems.report(
            fields.place(),
            "`certFile` and `keyFile` belong together, and one of them is missing",
            "give both, or none where etcd asks for no certificate",
        );
    } else if !cert_file.is_empty() && ca_file.is_empty() {
        problems.report(
            fields.place(),
            "`certFile` and `keyFile` need `caFile`",
            "write the path of the CA that signed etcd's serving certificates",
        );
    }
    // Without any certificate etcd may be spoken to in the clear.
    let https_only = !ca_file.is_empty() || !cert_file.is_empty() || !key_file.is_empty();
    let help = "write `endpoints: [https://192.0.2.31:2379]`";
    let endpoints = match fields.required("endpoints", help, problems) {
        Some(value) => read_urls(&value, https_only, problems),
        None => Vec::new(),
    };
    let http_endpoints = match fields.optional("httpEndpoints") {
        Some(value) => read_urls(&value, false, problems),
        None => Vec::new(),
    };
    ExternalEtcd {
        endpoints,
        http_endpoints,
        ca_file,
        cert_file,
        key_file,
    }
}

fn read_urls(value: &Value<'_>, https_only: bool, problems: &mut Problems) -> Vec<String> {
    let items = value.items(problems).unwrap_or_default();
    if items.is_empty() {
        let message = format!("`{}` is empty", value.place.name);
        problems.report(&value.place, message, "write at least one URL");
    }
    let mut urls = Vec::new();
    for item in items {
        let Some(text) = item.text(problems) else {
            continue;
        };
        let rest = text.strip_prefix("https://");
        let rest = rest.or_else(|| text.strip_prefix("http://").filter(|_| !https_only));
        let authority = rest
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        if authority.is_empty() || authority.contains('@') || text.contains([' ', ',']) {
            let scheme = if https_only { "https" } else { "http" };
            problems.report(
                &item.place,
                format!("`{}` is not the URL of an etcd member", excerpt(text)),
                format!("write `{scheme}://HOST:2379`"),
            );
            continue;
        }
        urls.push(text.to_owned());
    }
    urls
}

fn read_path(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<String> {
    let value = fields.optional(name)?;
    // kubeadm itself writes an empty one where there is none.
    let text = value.any_text(problems).filter(|text| !text.is_empty())?;
    let has_dots = text.split('/').any(|part| part == "..");
    if !text.starts_with('/') || has_dots || text.trim_end_matches('/').is_empty() {
        let message = format!("`{}` is not an absolute path", excerpt(text));
        problems.report(&value.place, message, "begin it with `/`, without `..`");
        return None;
    }
    Some(text.to_owned())
}
