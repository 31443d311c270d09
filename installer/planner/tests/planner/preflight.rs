//! Preflight's verdicts: one table, a change to a good host and the finding it causes.

use crate::support::{bare_facts, spec};
use slipway_api::{ClusterSpec, Facts, HostFacts, HostState, Listener, RuntimeFacts, Severity};
use slipway_planner::{Scope, preflight};

fn change(facts: &mut Facts, host: &str, change: impl FnOnce(&mut HostFacts)) {
    match facts.hosts.get_mut(&host.parse().unwrap()) {
        Some(HostState::Reached(facts)) => change(facts),
        other => panic!("{host} is not reached: {other:?}"),
    }
}

/// Returns severity and ID of everything that is found after a change to `cp-1`.
fn found(change_host: impl FnOnce(&mut HostFacts)) -> Vec<(Severity, String)> {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", change_host);
    ids(&spec, &facts)
}

fn ids(spec: &ClusterSpec, facts: &Facts) -> Vec<(Severity, String)> {
    let findings = preflight::check(spec, facts, &Scope::All);
    for finding in &findings {
        assert!(!finding.seen.is_empty() && !finding.why.is_empty() && !finding.help.is_empty());
    }
    findings
        .into_iter()
        .map(|finding| (finding.severity, finding.id))
        .collect()
}

#[test]
fn good_hosts_have_no_findings() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn each_trouble_has_its_finding() {
    type Change = Box<dyn FnOnce(&mut HostFacts)>;
    let cases: Vec<(&str, Severity, Change)> = vec![
        ("NumCPU", Severity::Error, Box::new(|host| host.cpus = 1)),
        (
            "Mem",
            Severity::Error,
            Box::new(|host| host.memory_bytes = 1 << 30),
        ),
        (
            "Swap",
            Severity::Error,
            Box::new(|host| host.swap = vec!["/dev/sda2".into()]),
        ),
        (
            "Module-overlay",
            Severity::Warning,
            Box::new(|host| host.overlay = false),
        ),
        (
            "Module-br_netfilter",
            Severity::Warning,
            Box::new(|host| host.bridge_netfilter = false),
        ),
        (
            "FileContent--proc-sys-net-ipv4-ip_forward",
            Severity::Warning,
            Box::new(|host| {
                drop(
                    host.sysctls
                        .insert("net.ipv4.ip_forward".into(), "0".into()),
                )
            }),
        ),
        (
            "Port-6443",
            Severity::Error,
            Box::new(|host| host.listening.push(listener(6443, "nginx"))),
        ),
        (
            "SystemVerification",
            Severity::Error,
            Box::new(|host| host.cgroup_version = 1),
        ),
        (
            "SystemVerification",
            Severity::Error,
            Box::new(|host| host.cgroup_controllers.retain(|name| name != "memory")),
        ),
        (
            "ServiceRoute",
            Severity::Error,
            Box::new(|host| host.routes = vec!["192.0.2.0/24".into()]),
        ),
        (
            "NoExec",
            Severity::Error,
            Box::new(|host| host.noexec = vec!["/usr/local/bin".into()]),
        ),
        (
            "FileExisting-mount",
            Severity::Error,
            Box::new(|host| host.missing_programs = vec!["mount".into()]),
        ),
        (
            "IsPrivilegedUser",
            Severity::Error,
            Box::new(|host| host.is_root = false),
        ),
        (
            "CapSysResource",
            Severity::Warning,
            Box::new(|host| host.can_raise_limits = false),
        ),
        (
            "NodeAddress",
            Severity::Error,
            Box::new(|host| host.links[0].addresses = vec!["10.0.2.15".parse().unwrap()]),
        ),
        (
            "Hostname",
            Severity::Error,
            Box::new(|host| host.hostname = "w-1".into()),
        ),
        (
            "MachineID",
            Severity::Error,
            Box::new(|host| host.machine_id = Some("id-of-w-1".into())),
        ),
        (
            "ProductUUID",
            Severity::Error,
            Box::new(|host| host.product_uuid = Some("uuid-of-w-1".into())),
        ),
        (
            "MACAddress",
            Severity::Error,
            Box::new(|host| host.links[0].mac = Some("mac-of-w-1".into())),
        ),
        (
            "OtherCluster",
            Severity::Error,
            Box::new(|host| host.existing.slipway_cluster = Some("other".into())),
        ),
        (
            "DirAvailable--var-lib-etcd",
            Severity::Error,
            Box::new(|host| host.existing.etcd_data = true),
        ),
        (
            "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
            Severity::Error,
            Box::new(|host| host.existing.manifests = vec!["etcd.yaml".into()]),
        ),
        (
            "DiskSpace",
            Severity::Error,
            Box::new(|host| host.disks.get_mut("/var/lib/kubelet").unwrap().available = 1 << 30),
        ),
        (
            "CgroupDriver",
            Severity::Error,
            Box::new(|host| host.runtime = Some(foreign_runtime(Some("cgroupfs")))),
        ),
        (
            "ContainerRuntimeVersion",
            Severity::Warning,
            Box::new(|host| host.runtime = Some(foreign_runtime(None))),
        ),
    ];
    for (id, severity, change_host) in cases {
        let found = found(change_host);
        assert_eq!(found, [(severity, id.to_owned())], "{id}");
    }
}

fn listener(port: u16, program: &str) -> Listener {
    Listener {
        port,
        program: Some(program.to_owned()),
    }
}

fn foreign_runtime(cgroup_driver: Option<&str>) -> RuntimeFacts {
    RuntimeFacts {
        socket: "/run/containerd/containerd.sock".to_owned(),
        name: "containerd".to_owned(),
        version: "1.7.24".to_owned(),
        cgroup_driver: cgroup_driver.map(str::to_owned),
        ready: true,
        is_ours: false,
    }
}

#[test]
fn hosts_of_this_very_cluster_may_listen_and_hold_data() {
    let found = found(|host| {
        host.existing.slipway_cluster = Some("harbour".into());
        host.existing.etcd_data = true;
        host.existing.manifests = vec!["etcd.yaml".into()];
        host.listening.push(listener(6443, "kube-apiserver"));
    });
    assert_eq!(found, []);
}

#[test]
fn cgroup_v1_is_a_warning_where_the_kubelet_is_told_to_bear_it() {
    let mut spec = spec();
    spec.kubelet_configuration = Some(serde_json::json!({ "failCgroupV1": false }));
    let mut facts = bare_facts(&spec);
    change(&mut facts, "w-1", |host| host.cgroup_version = 1);
    assert_eq!(
        ids(&spec, &facts),
        [(Severity::Warning, "SystemVerification".to_owned())]
    );
}

#[test]
fn an_ignored_error_is_a_warning_whatever_its_case() {
    let mut spec = spec();
    spec.ignore_preflight_errors = vec!["numcpu".into()];
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", |host| host.cpus = 1);
    assert_eq!(
        ids(&spec, &facts),
        [(Severity::Warning, "NumCPU".to_owned())]
    );
}
