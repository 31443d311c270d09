//! Processors, memory and disk.

use slipway_api::{Finding, Role};

use super::Subject;

/// kubeadm's minimum for a control-plane node.
const MIN_CPUS: u32 = 2;
/// kubeadm's minimum for a control-plane node, in bytes: 1700 MB.
const MIN_MEMORY: u64 = 1700 << 20;
/// Below this share of free space the kubelet evicts pods: its default
/// `nodefs.available`, in percent.
const EVICTION_PERCENT: u64 = 10;
/// Below this share it collects images: its default `imagefs.available`, in percent.
const COLLECTION_PERCENT: u64 = 15;
/// What a node's binaries and images need at least, in bytes.
const MIN_SPACE: u64 = 3 << 30;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    if subject.host.role == Role::ControlPlane {
        if facts.cpus < MIN_CPUS {
            found.push(subject.error(
                "NumCPU",
                format!("{} processor", facts.cpus),
                "a control-plane node needs 2",
                "give the machine another processor",
            ));
        }
        if facts.memory_bytes < MIN_MEMORY {
            found.push(subject.error(
                "Mem",
                format!("{} MB of memory", facts.memory_bytes >> 20),
                "a control-plane node needs 1700 MB",
                "give the machine more memory",
            ));
        }
    }
    for path in [
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/lib/slipway",
    ] {
        let Some(disk) = facts.disks.get(path) else {
            continue;
        };
        let percent = disk.available.saturating_mul(100) / disk.total.max(1);
        let seen = format!(
            "{path} has {} free, {percent}% of {}",
            gib(disk.available),
            gib(disk.total)
        );
        if disk.available < MIN_SPACE && !subject.belongs_to_cluster() {
            let help = format!("make room, or mount a larger file system at {path}");
            found.push(subject.error(
                "DiskSpace",
                seen,
                "binaries and images need about 3 GiB",
                help,
            ));
        } else if percent < EVICTION_PERCENT {
            found.push(subject.error(
                "DiskSpace",
                seen,
                "below 10% the kubelet evicts pods, etcd and the API server among them",
                "make room before Kubernetes starts",
            ));
        } else if percent < COLLECTION_PERCENT {
            found.push(subject.warning(
                "DiskSpace",
                seen,
                "below 15% the kubelet deletes images",
                "make room soon",
            ));
        }
    }
}

fn gib(bytes: u64) -> String {
    format!(
        "{}.{} GiB",
        bytes >> 30,
        ((bytes & ((1 << 30) - 1)) * 10) >> 30
    )
}

#[cfg(test)]
mod tests {
    use super::gib;

    #[test]
    fn sizes_are_shown_with_one_digit() {
        assert_eq!(gib(3 << 30), "3.0 GiB");
        assert_eq!(gib((3 << 30) + (1 << 29)), "3.5 GiB");
    }
}
