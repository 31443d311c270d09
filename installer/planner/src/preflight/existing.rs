//! A cluster that is on the host already, ours or another's.

use slipway_api::{Finding, ProbeOutcome, Role, paths};

use super::Subject;
use super::probes::local_etcd;
use crate::external_ca::has_given_kubelet_conf;

/// The static Pod manifests that kubeadm looks for.
const MANIFESTS: [&str; 4] = [
    "kube-apiserver.yaml",
    "kube-controller-manager.yaml",
    "kube-scheduler.yaml",
    "etcd.yaml",
];

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let existing = &subject.facts.existing;
    if subject.belongs_to_cluster() {
        return;
    }
    if let Some(other) = &existing.slipway_cluster {
        found.push(subject.error(
            "OtherCluster",
            format!("the host belongs to the cluster {other}"),
            "a host is a node of one cluster only",
            format!(
                "take it out of {other} first: `slipway reset -f {other}.yaml --host {}`, or `slipway reset` on it",
                subject.host.name
            ),
        ));
        return;
    }
    let is_worker = subject.host.role == Role::Worker;
    let manifest = |name: &&&str| existing.manifests.iter().any(|found| found == **name);
    let mut paths: Vec<String> = MANIFESTS
        .iter()
        .filter(manifest)
        .map(|name| format!("/etc/kubernetes/manifests/{name}"))
        .collect();
    let is_given = has_given_kubelet_conf(subject.spec, subject.all, subject.facts);
    for (is_there, path) in [
        (
            existing.kubelet_conf && !is_given,
            "/etc/kubernetes/kubelet.conf",
        ),
        (
            existing.bootstrap_conf,
            "/etc/kubernetes/bootstrap-kubelet.conf",
        ),
        (
            is_worker && existing.ca_sha256.is_some(),
            "/etc/kubernetes/pki/ca.crt",
        ),
    ] {
        if is_there {
            paths.push(path.to_owned());
        }
    }
    let why = "it belongs to a cluster that Slipway did not make here";
    let help = "if nothing needs it any more: `kubeadm reset` on the host";
    for path in paths {
        let id = format!("FileAvailable-{}", path.replace('/', "-"));
        found.push(subject.error(&id, format!("{path} is there"), why, help));
    }
    if let Some(folder) = etcd_folder(subject).filter(|_| !is_worker)
        && has_content(subject, folder)
    {
        let id = format!("DirAvailable-{}", folder.replace('/', "-"));
        found.push(subject.error(&id, format!("{folder} is not empty"), why, help));
    }
}

fn etcd_folder<'a>(subject: &'a Subject<'_>) -> Option<&'a str> {
    local_etcd(subject.spec).map(|etcd| etcd.data_dir.as_str())
}

/// Returns whether etcd's folder has content: a fact for the usual one, and
/// the outcome of a probe for another.
fn has_content(subject: &Subject<'_>, folder: &str) -> bool {
    if folder == paths::ETCD_DIR {
        return subject.facts.existing.etcd_data;
    }
    let is_full = |outcome: &ProbeOutcome| {
        matches!(
            outcome,
            ProbeOutcome::Folder {
                has_content: true,
                ..
            }
        )
    };
    let mut outcomes = subject.outcomes().iter();
    outcomes.any(|(_, outcome)| is_full(outcome))
}
