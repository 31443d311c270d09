//! The kernel: modules, sysctls, cgroups, swap, limits, routes.

use ipnet::IpNet;
use serde_json::Value;
use slipway_api::Finding;

use super::Subject;

/// The first minor whose kubelet refuses cgroup v1 unless told otherwise.
const CGROUP_V1_REFUSED_FROM: u64 = 35;

/// The controllers that the kubelet needs with cgroup v1 and v2.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

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

/// What is said of everything that `init` and `join` set by themselves.
const MENDED: &str = "`init` and `join` set it; `slipway preflight --fix` does it now";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
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
    ] {
        if !works {
            let mut finding = subject.warning(
                &format!("Module-{module}"),
                format!("{module} is not loaded"),
                why,
                MENDED,
            );
            finding.fixable = true;
            found.push(finding);
        }
    }
    for (key, id) in SYSCTLS {
        let value = facts.sysctls.get(key).map(String::as_str);
        // Absent bridge sysctls are the missing module's fault, told above.
        let is_told = value.is_none() && key.contains("bridge");
        if value != Some("1") && !is_told {
            let seen = format!("{key} is {}", value.unwrap_or("not there"));
            let mut finding = subject.warning(
                id,
                seen,
                "packets between pods and nodes are dropped without it",
                MENDED,
            );
            finding.fixable = true;
            found.push(finding);
        }
    }
    check_cgroups(subject, found);
    if !facts.swap.is_empty() {
        check_swap(subject, found);
    }
    if !facts.can_raise_limits {
        found.push(subject.warning(
            "CapSysResource",
            "root lacks CAP_SYS_RESOURCE here",
            "containers cannot lower their out-of-memory score below containerd's own",
            "nothing to do: containerd is configured with `restrict_oom_score_adj`",
        ));
    }
    check_route(subject, found);
}

fn check_cgroups(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    let minor = subject.spec.kubernetes_version.minor();
    if facts.cgroup_version == 1 && minor >= CGROUP_V1_REFUSED_FROM {
        let seen = format!("the host uses cgroup v1, and Kubernetes 1.{minor} wants v2");
        let is_allowed = kubelet_setting(subject, "failCgroupV1") == Some(&Value::Bool(false));
        let why = "the kubelet does not start on cgroup v1 unless it is told to";
        found.push(if is_allowed {
            subject.warning("SystemVerification", seen, why, "move to cgroup v2 before the kubelet drops v1 altogether")
        } else {
            subject.error(
                "SystemVerification",
                seen,
                why,
                "boot with `systemd.unified_cgroup_hierarchy=1`, or add a KubeletConfiguration document with `failCgroupV1: false`",
            )
        });
    }
    let missing: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|name| !facts.cgroup_controllers.iter().any(|found| found == name))
        .collect();
    if !missing.is_empty() {
        found.push(subject.error(
            "SystemVerification",
            format!("cgroup controllers are missing: {}", missing.join(", ")),
            "the kubelet cannot limit pods without them",
            "enable them on the kernel's command line, for example `cgroup_enable=memory`",
        ));
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

/// A ClusterIP is looked up in the routes before it is rewritten: without any
/// route to it, host-network pods get "network is unreachable".
fn check_route(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let subnet = &subject.spec.networking.service_subnet;
    let IpNet::V4(_) = subnet else { return };
    let covers = |route: &String| {
        route
            .parse::<IpNet>()
            .is_ok_and(|route| route.contains(subnet))
    };
    if !subject.facts.routes.iter().any(covers) {
        found.push(subject.error(
            "ServiceRoute",
            format!("no route covers the Service subnet {subnet}"),
            "host-network pods and the kubelet cannot reach Services without one",
            "add a default route, on a dummy link if the host has no gateway",
        ));
    }
}

/// Returns a setting of the user's KubeletConfiguration.
pub(super) fn kubelet_setting<'a>(subject: &'a Subject<'_>, key: &str) -> Option<&'a Value> {
    subject.spec.kubelet_configuration.as_ref()?.get(key)
}
