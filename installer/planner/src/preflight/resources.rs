//! Processors and memory.

use slipway_api::{Finding, Role};

use super::Subject;

/// kubeadm's minimum for a control-plane node.
const MIN_CPUS: u32 = 2;
/// kubeadm's minimum for a control-plane node, in bytes: 1700 MB.
const MIN_MEMORY: u64 = 1700 << 20;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    if subject.host.role != Role::ControlPlane {
        return;
    }
    if facts.cpus < MIN_CPUS {
        found.push(subject.error(
            "NumCPU",
            format!("{} processor", facts.cpus),
            "a control-plane node needs 2",
            "give the machine another processor; `nproc` shows how many it has",
        ));
    }
    if facts.memory_bytes < MIN_MEMORY {
        found.push(subject.error(
            "Mem",
            format!("{} MB of memory", facts.memory_bytes >> 20),
            "a control-plane node needs 1700 MB",
            "give the machine more memory; `free -m` shows how much it has",
        ));
    }
}
