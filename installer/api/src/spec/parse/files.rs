//! `files` of a host: what is brought onto it from beside the cluster file.

use std::path::Path;

use super::problems::{Problems, excerpt};
use super::schema::FILE_OF_HOST;
use super::tree::Content;
use super::value::Value;
use crate::spec::{HostFile, LocalContent, LocalFiles};
use crate::{Blob, Sha256Digest, paths};

const HELP: &str = "write `- { src: audit-policy.yaml, dest: /etc/kubernetes/audit/policy.yaml }`";

/// Folders below which everything is made by Slipway or kubeadm.
const MANAGED_FOLDERS: [&str; 6] = [
    paths::MANIFESTS_DIR,
    paths::STATE_DIR,
    paths::KUBELET_PKI_DIR,
    paths::CONTAINERD_DROP_IN_DIR,
    paths::CERTS_D,
    paths::CNI_BIN_DIR,
];
/// Files that are made by Slipway or kubeadm.
const MANAGED_FILES: [&str; 15] = [
    paths::ADMIN_CONF,
    paths::SUPER_ADMIN_CONF,
    paths::KUBELET_CONF,
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    paths::KUBELET_CONFIG,
    paths::KUBELET_INSTANCE_CONFIG,
    paths::KUBELET_FLAGS,
    paths::CONTAINERD_CONFIG,
    paths::MODULES_FILE,
    paths::SYSCTL_FILE,
    "/etc/systemd/system/containerd.service",
    "/etc/systemd/system/kubelet.service",
    "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
    "/usr/local/bin/kubelet",
];
/// Names without ending that are made below the folder of certificates.
const MANAGED_PKI: [&str; 11] = [
    "ca",
    "apiserver",
    "apiserver-kubelet-client",
    "apiserver-etcd-client",
    "front-proxy-ca",
    "front-proxy-client",
    "sa",
    "etcd/ca",
    "etcd/server",
    "etcd/peer",
    "etcd/healthcheck-client",
];

/// Reads the list.
pub(super) fn read_files(
    value: &Value<'_>,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Vec<HostFile> {
    let mut found: Vec<HostFile> = Vec::new();
    for item in value.items(problems).unwrap_or_default() {
        let Some(file) = read_file(&item, files, problems) else {
            continue;
        };
        if found.iter().any(|other| other.dest == file.dest) {
            let message = format!("`{}` is written twice on this host", excerpt(&file.dest));
            problems.report(&item.place, message, "remove one of them");
            continue;
        }
        found.push(file);
    }
    found
}

fn read_file(
    item: &Value<'_>,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Option<HostFile> {
    if let Content::Scalar(_) = item.node.content() {
        let message = format!("`{}` must be a mapping, and this is text", item.place.name);
        problems.report(&item.place, message, HELP);
        return None;
    }
    let fields = item.fields(&FILE_OF_HOST, problems)?;
    let source = fields.required("src", HELP, problems);
    let dest = fields.required("dest", HELP, problems);
    let mode = match fields.optional("mode") {
        Some(mode) => read_mode(&mode, problems)?,
        None => 0o600,
    };
    let content = source.as_ref().and_then(|source| {
        let path = source.path(problems)?;
        Some((read_content(source, &path, files, problems), path))
    });
    let dest = dest.and_then(|dest| read_dest(&dest, problems))?;
    let (content, src) = content?;
    Some(HostFile {
        src,
        dest,
        mode,
        content,
    })
}

fn read_content(
    source: &Value<'_>,
    path: &Path,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Option<Blob> {
    let reason = match files?.read(path, HostFile::MAX_BYTES) {
        Ok(LocalContent::File(bytes)) => {
            return Some(Blob {
                sha256: Sha256Digest::of(&bytes),
                size: bytes.len() as u64,
            });
        }
        Ok(LocalContent::Folder(_)) => "it is a folder, not a file".to_owned(),
        Err(reason) => reason,
    };
    let shown = excerpt(&path.display().to_string());
    let help = "name a file of at most 1 MiB beside this file";
    problems.report(&source.place, format!("`{shown}`: {reason}"), help);
    None
}

fn read_dest(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.text(problems)?;
    let mut parts = text.split('/').skip(1);
    let is_plain = text.starts_with('/')
        && parts.all(|part| !part.is_empty() && part != "." && part != "..")
        && !text.chars().any(char::is_control);
    if !is_plain {
        let message = format!("`{}` is not an absolute path", excerpt(text));
        problems.report(&value.place, message, "write it from `/` on, without `..`");
        return None;
    }
    let is_below = |folder: &str| {
        let rest = text.strip_prefix(folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let in_pki = text.strip_prefix(paths::PKI_DIR).and_then(|rest| {
        let stem = rest.strip_prefix('/')?;
        stem.rsplit_once('.').map(|(stem, _)| stem)
    });
    if MANAGED_FOLDERS.iter().any(|folder| is_below(folder))
        || MANAGED_FILES.contains(&text)
        || in_pki.is_some_and(|stem| MANAGED_PKI.contains(&stem))
    {
        problems.report(
            &value.place,
            format!("`{}` is written by Slipway itself", excerpt(text)),
            "choose another path, such as one below /etc/kubernetes/audit",
        );
        return None;
    }
    Some(text.to_owned())
}

/// Reads permission bits: always octal, as chmod takes them.
fn read_mode(value: &Value<'_>, problems: &mut Problems) -> Option<u32> {
    let text = value.scalar(problems)?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o777 && mode & 0o400 != 0 && digits.len() >= 3);
    if mode.is_none() {
        problems.report(
            &value.place,
            format!("`{}` is not a file's mode", excerpt(text)),
            "write octal digits as for chmod: `mode: \"0600\"`",
        );
    }
    mode
}
