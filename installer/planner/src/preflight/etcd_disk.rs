//! Whether the disk is fast enough for etcd.

use slipway_api::{Finding, ProbeOutcome};

use super::Subject;
use super::probes::local_etcd;

/// What etcd's own guide wants 99 of 100 syncs to be below, in microseconds.
const GOOD_MICROS: u64 = 10_000;
/// kubeadm's etcd elects another leader after so long without a heartbeat.
const ELECTION_MICROS: u64 = 1_000_000;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for (_, outcome) in subject.outcomes() {
        let ProbeOutcome::Synced(latency) = outcome else {
            continue;
        };
        let folder = local_etcd(subject.spec).map_or("", |etcd| etcd.data_dir.as_str());
        let seen = format!(
            "99 of 100 writes below {folder} take up to {} ms to be on disk ({} writes, half of them within {} ms)",
            shown(latency.p99_micros),
            latency.writes,
            shown(latency.median_micros)
        );
        let help = format!(
            "put {folder} on an SSD of its own; `iostat -x 1` and `pidstat -d 1` show who uses the disk"
        );
        if latency.p99_micros >= ELECTION_MICROS {
            found.push(subject.error(
                "EtcdFsync",
                seen,
                "etcd waits for the disk longer than its members wait for each other, and loses its leader",
                help,
            ));
        } else if latency.p99_micros >= GOOD_MICROS {
            found.push(subject.warning(
                "EtcdFsync",
                seen,
                "etcd syncs every change; above 10 ms the API grows slow and elections begin under load",
                help,
            ));
        }
    }
}

fn shown(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}
