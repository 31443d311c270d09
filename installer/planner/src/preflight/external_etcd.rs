//! An etcd cluster that somebody else runs.

use slipway_api::{Finding, Probe, ProbeOutcome};

use super::Subject;

/// The oldest etcd that kubeadm takes. Source: `MinExternalEtcdVersion`, the
/// same in 1.34, 1.35 and 1.36.
const OLDEST: [u64; 3] = [3, 5, 24];

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for (probe, outcome) in subject.outcomes() {
        if let (Probe::FindFiles { .. }, ProbeOutcome::Missing { paths }) = (probe, outcome) {
            found.extend(paths.iter().map(|path| missing(subject, path)));
        }
        if let Probe::AskEtcdVersion { endpoint, .. } = probe {
            found.extend(trouble(endpoint, outcome).map(|seen| {
                subject.error(
                    "ExternalEtcdVersion",
                    seen,
                    "the API server keeps everything there, and starts with etcd 3.5.24 or newer only",
                    format!("`curl --cacert CA --cert CERTIFICATE --key KEY {endpoint}/version` with the files of the ClusterConfiguration"),
                )
            }));
        }
    }
}

fn missing(subject: &Subject<'_>, path: &str) -> Finding {
    subject.error(
        "ExternalEtcdClientCertificates",
        format!("{path} is not there"),
        "the API server shows it to etcd",
        format!(
            "put it there on every control-plane host: `scp FILE {}:{path}`",
            subject.host.address
        ),
    )
}

/// Returns what is wrong with an endpoint, if anything is.
fn trouble(endpoint: &str, outcome: &ProbeOutcome) -> Option<String> {
    match outcome {
        ProbeOutcome::EtcdVersion { version } => {
            let numbers: Vec<u64> = version
                .split(['.', '-', '+'])
                .map_while(|part| part.parse().ok())
                .collect();
            (numbers[..] < OLDEST[..]).then(|| format!("etcd at {endpoint} is {version}"))
        }
        ProbeOutcome::Failed { reason } => Some(format!("etcd at {endpoint}: {reason}")),
        ProbeOutcome::TimedOut => Some(format!("etcd at {endpoint} does not answer")),
        ProbeOutcome::Reached
        | ProbeOutcome::Stranger
        | ProbeOutcome::Refused
        | ProbeOutcome::Sent { .. }
        | ProbeOutcome::Resolved { .. }
        | ProbeOutcome::Answered
        | ProbeOutcome::Folder { .. }
        | ProbeOutcome::Missing { .. }
        | ProbeOutcome::Unfit { .. }
        | ProbeOutcome::Synced(_) => None,
    }
}
