//! Certificates and kubeconfigs of authorities whose keys are elsewhere: all must be there.

use slipway_api::{Finding, Probe, ProbeOutcome, Role, UnfitFile, paths};

use super::Subject;
use crate::external_ca::has_external_ca;

const ID: &str = "ExternalCA";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for (probe, outcome) in subject.outcomes() {
        if let (Probe::JudgeGiven { .. }, ProbeOutcome::Unfit { files }) = (probe, outcome) {
            found.extend(files.iter().map(|file| unfit(subject, file)));
        }
    }
    let wants_metrics = subject.spec.addons.metrics_server;
    if subject.host.role == Role::ControlPlane
        && wants_metrics
        && has_external_ca(subject.spec, subject.all)
        && !subject.facts.existing.has_signed_serving
    {
        found.push(subject.warning(
            ID,
            "metrics-server is left out: the CA's key is elsewhere, so kubelets serve with certificates of their own making",
            "metrics-server believes only kubelets whose serving certificate the cluster CA signed",
            format!(
                "have one issued for each kubelet and put it at {0}/kubelet.crt and {0}/kubelet.key; or write `addons: {{ metricsServer: false }}`",
                paths::KUBELET_PKI_DIR
            ),
        ));
    }
}

fn unfit(subject: &Subject<'_>, file: &UnfitFile) -> Finding {
    let UnfitFile { path, why, .. } = file;
    let seen = format!("{path}: {why}");
    if file.is_usable {
        let why = "whoever made it may have meant it";
        return subject.warning(ID, seen, why, mend(subject, path));
    }
    let why = match subject.host.role {
        Role::ControlPlane => {
            "the key of its CA is not on this host, so nothing can be issued here"
        }
        Role::Worker => {
            "the key of the cluster's CA is on no host, so nobody can sign for this kubelet, with a token neither"
        }
    };
    subject.error(ID, seen, why, mend(subject, path))
}

/// Returns the commands that bring a file as it should be.
fn mend(subject: &Subject<'_>, path: &str) -> String {
    let host = &subject.host.name;
    let requests = format!(
        "`slipway certs generate-csr -f FILE --host {host} --cert-dir pki --kubeconfig-dir .`"
    );
    let ca = paths::CLUSTER_CA;
    if path.ends_with(".conf") {
        let file = path.rsplit('/').next().unwrap_or(path);
        return format!(
            "{requests} makes {file} and {file}.csr; once that is signed: \
             `kubectl config --kubeconfig {file} set-cluster {} --certificate-authority {ca} --embed-certs`, \
             `kubectl config --kubeconfig {file} set-credentials {} --client-certificate SIGNED.crt --embed-certs`, \
             and put it at {path}",
            subject.spec.cluster_configuration.cluster_name,
            user(file, subject.host.node_name()),
        );
    }
    let below = path.strip_prefix(paths::PKI_DIR).unwrap_or(path);
    let base = below.trim_end_matches(".crt").trim_end_matches(".key");
    format!(
        "{requests} makes pki{base}.key and pki{base}.csr; have the request signed, and put key and certificate at {0}{base}.key and {0}{base}.crt",
        paths::PKI_DIR
    )
}

/// Returns the user in one of kubeadm's kubeconfigs.
fn user(file: &str, node_name: &str) -> String {
    match file {
        "admin.conf" => "kubernetes-admin".to_owned(),
        "super-admin.conf" => "kubernetes-super-admin".to_owned(),
        "kubelet.conf" => format!("system:node:{node_name}"),
        file => format!("system:kube-{}", file.trim_end_matches(".conf")),
    }
}
