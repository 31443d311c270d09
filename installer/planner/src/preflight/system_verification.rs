//! kubeadm's `SystemVerification`: kernel version, kernel options, cgroups.

use serde_json::Value;
use slipway_api::{Finding, KERNEL_OPTIONS};

use super::Subject;
use super::kernel::kubelet_setting;

/// The check's ID.
const ID: &str = "SystemVerification";

/// The first minor whose kubelet refuses cgroup v1 unless told otherwise.
pub(crate) const CGROUP_V1_REFUSED_FROM: u64 = 35;

/// The controllers that the kubelet needs with either cgroup version.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"];
/// The one that it also needs with version 1.
const CONTROLLER_V1: &str = "cpuacct";
/// The controllers that it would like to have, for versions 1 and 2.
const OPTIONAL_V1: [&str; 2] = ["hugetlb", "blkio"];
/// The same for version 2.
const OPTIONAL_V2: [&str; 2] = ["hugetlb", "io"];

/// Kernel options that have checks of their own, judged by function.
const TOLD_ELSEWHERE: [&str; 2] = ["OVERLAY_FS", "VXLAN"];

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    if !is_kernel_supported(&facts.kernel) {
        found.push(subject.warning(
            ID,
            format!("the kernel is {}", facts.kernel),
            "Kubernetes is tested with Linux 5.4, 5.10, 5.15 and everything from 6.0 on",
            "install a newer kernel and reboot; `uname -r` shows which one runs",
        ));
    }
    check_options(subject, found);
    check_cgroup_version(subject, found);
    check_controllers(subject, found);
}

fn check_options(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    let Some(options) = &facts.kernel_options else {
        found.push(subject.warning(
            ID,
            "the kernel's configuration is nowhere to be found",
            "whether the kernel has everything that Kubernetes needs is not known",
            "`modprobe configs` makes it /proc/config.gz with some kernels; others have a package with /boot/config",
        ));
        return;
    };
    let missing: Vec<&str> = KERNEL_OPTIONS
        .iter()
        .filter(|option| {
            option
                .cgroup_version
                .is_none_or(|version| version == facts.cgroup_version)
        })
        .map(|option| option.name)
        .filter(|name| !options.contains(*name) && !TOLD_ELSEWHERE.contains(name))
        .collect();
    if !missing.is_empty() {
        found.push(subject.error(
            ID,
            format!("the kernel was built without {}", missing.join(", ")),
            "the kubelet, containers or Services need it",
            "boot a kernel that has it: `grep CONFIG_ /boot/config-$(uname -r)` shows what this one has",
        ));
    }
}

fn check_cgroup_version(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.facts.cgroup_version != 1 {
        return;
    }
    let minor = subject.spec.kubernetes_version.minor();
    let help = "boot with `systemd.unified_cgroup_hierarchy=1`";
    if minor < CGROUP_V1_REFUSED_FROM {
        found.push(subject.warning(
            ID,
            "the host uses cgroup v1",
            "from Kubernetes 1.35 on the kubelet does not start on it unless it is told to",
            help,
        ));
        return;
    }
    let seen = format!("the host uses cgroup v1, and Kubernetes 1.{minor} wants v2");
    let is_allowed = kubelet_setting(subject, "failCgroupV1") == Some(&Value::Bool(false));
    found.push(if is_allowed {
        let why = "the kubelet is told to bear it, and will not be able to for ever";
        subject.warning(ID, seen, why, help)
    } else {
        subject.error(
            ID,
            seen,
            "the kubelet does not start on cgroup v1 unless it is told to",
            format!("{help}, or add a KubeletConfiguration document with `failCgroupV1: false`"),
        )
    });
}

fn check_controllers(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    let is_v1 = facts.cgroup_version == 1;
    let missing = |names: &mut dyn Iterator<Item = &'static str>| {
        let has = |name: &&str| facts.cgroup_controllers.iter().any(|found| found == name);
        names.filter(|name| !has(name)).collect::<Vec<_>>()
    };
    let needed = missing(
        &mut CONTROLLERS
            .into_iter()
            .chain(is_v1.then_some(CONTROLLER_V1)),
    );
    if !needed.is_empty() {
        found.push(subject.error(
            ID,
            format!("cgroup controllers are missing: {}", needed.join(", ")),
            "the kubelet cannot limit pods without them",
            "enable them on the kernel's command line, for example `cgroup_enable=memory`",
        ));
    }
    let liked = missing(&mut if is_v1 { OPTIONAL_V1 } else { OPTIONAL_V2 }.into_iter());
    if !liked.is_empty() {
        found.push(subject.warning(
            ID,
            format!(
                "optional cgroup controllers are missing: {}",
                liked.join(", ")
            ),
            "huge pages and disk access of pods cannot be limited without them",
            "nothing has to be done; `cat /proc/cgroups` shows what the kernel has",
        ));
    }
}

/// Returns whether kubeadm knows the kernel: long-term releases of Linux 5, all
/// from 6 on. Source: `validators/types_unix.go` of k8s.io/system-validators.
fn is_kernel_supported(release: &str) -> bool {
    let mut numbers = release.split(['.', '-', '+']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(5)), Some(Ok(minor))) => matches!(minor, 4 | 10 | 15),
        (Some(Ok(major)), Some(_)) => major >= 6,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_kernel_supported;

    #[test]
    fn kernels_are_known_as_kubeadm_knows_them() {
        for known in [
            "5.4.0-150-generic",
            "5.15.0",
            "6.1.0-13-amd64",
            "6.18.44-fc",
            "10.0.1",
        ] {
            assert!(is_kernel_supported(known), "{known}");
        }
        for unknown in [
            "4.18.0-553.el8.x86_64",
            "5.14.0-427.el9.x86_64",
            "3.10.0",
            "linux",
        ] {
            assert!(!is_kernel_supported(unknown), "{unknown}");
        }
    }
}
