//! The kernel's settings: modules, sysctls, swap, limits.

use serde_json::Value;
use slipway_api::{Cni, Finding};

use super::Subject;

/// The sysctls that pods' traffic needs, with kubeadm's IDs where it had them.
const SYSCTLS: [(&str, &str); 3] = [
    (
        "net.ipv4.ip_forward",
        "FileContent--proc-sys-net-ipv4-ip_forward",
    ),
    (
        "net.bridge.bridge-nf-call-iptables",
        "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
    ),
    (
        "net.bridge.bridge-nf-call-ip6tables",
        "FileContent--proc-sys-net-bridge-bridge-nf-call-ip6tables",
    ),
];

/// What pods' traffic needs where addresses are IPv6.
const SYSCTL_V6: (&str, &str) = (
    "net.ipv6.conf.default.forwarding",
    "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
);

/// What is said of everything that `init` and `join` set by themselves.
const MENDED: &str = "`init` and `join` set it; `slipway preflight --fix` does it now";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    check_modules(subject, found);
    check_sysctls(subject, found);
    if !facts.swap.is_empty() {
        check_swap(subject, found);
    }
    if !facts.can_raise_limits {
        let help = if subject.adopted_runtime().is_some() {
            "set `restrict_oom_score_adj = true` in /etc/containerd/config.toml and `systemctl restart containerd`"
        } else {
            "nothing to do: containerd is configured with `restrict_oom_score_adj`"
        };
        found.push(subject.warning(
            "CapSysResource",
            "root lacks CAP_SYS_RESOURCE here",
            "containers cannot lower their out-of-memory score below containerd's own",
            help,
        ));
    }
}

fn check_modules(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    let is_flannel = subject.spec.networking.cni == Cni::Flannel;
    for (works, module, why) in [
        (
            facts.overlay,
            "overlay",
            "containers' file systems are overlays",
        ),
        (
            facts.bridge_netfilter,
            "br_netfilter",
            "without it traffic between pods on one node misses the rules of Services",
        ),
        // Loaded by the kernel itself when flannel makes its link.
        (
            true,
            "vxlan",
            "flannel carries packets between nodes in VXLAN",
        ),
    ] {
        let id = format!("Module-{module}");
        let is_absent = facts.absent_modules.iter().any(|absent| absent == module);
        if is_absent && (module != "vxlan" || is_flannel) {
            found.push(subject.error(
                &id,
                format!("the kernel {} has no module {module}", facts.kernel),
                why,
                format!("install the kernel's package with further modules, for example `apt-get install linux-modules-extra-{}`, or boot another kernel", facts.kernel),
            ));
        } else if !works {
            let seen = format!("{module} is not loaded");
            let mut finding = subject.warning(&id, seen, why, MENDED);
            finding.fixable = true;
            found.push(finding);
        }
    }
}

fn check_sysctls(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let has_ipv6 = subject.spec.networking.has_ipv6();
    for (key, id) in SYSCTLS.into_iter().chain(has_ipv6.then_some(SYSCTL_V6)) {
        let value = subject.facts.sysctls.get(key).map(String::as_str);
        // Absent bridge sysctls are the missing module's fault, told above.
        let is_told = value.is_none() && key.contains("bridge");
        if value != Some("1") && !is_told {
            let seen = format!("{key} is {}", value.unwrap_or("not there"));
            let why = "packets between pods and nodes are dropped without it";
            let mut finding = subject.warning(id, seen, why, MENDED);
            finding.fixable = true;
            found.push(finding);
        }
    }
}

fn check_swap(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let seen = format!("swap is on: {}", subject.facts.swap.join(", "));
    let why = "the kubelet does not start with swap unless `failSwapOn` is false";
    let help = "`swapoff -a`, and take the swap lines out of /etc/fstab";
    let is_allowed = kubelet_setting(subject, "failSwapOn") == Some(&Value::Bool(false));
    found.push(if is_allowed {
        subject.warning("Swap", seen, "pods may be slowed down by swapping", help)
    } else {
        subject.error("Swap", seen, why, help)
    });
}

/// Returns a setting of the user's KubeletConfiguration.
pub(super) fn kubelet_setting<'a>(subject: &'a Subject<'_>, key: &str) -> Option<&'a Value> {
    subject.spec.kubelet_configuration.as_ref()?.get(key)
}
