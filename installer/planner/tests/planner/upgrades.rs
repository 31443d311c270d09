//! Upgrades: in which order nodes change, what they wait for, and how each comes back.

use slipway_api::step::Condition;
use slipway_api::{
    Check, ClusterSpec, Facts, HostState, KubeletFacts, KubernetesVersion, Plan, Step, StepId,
};
use slipway_planner::{UpgradeOptions, UpgradePath, WrongTarget, plan_upgrade};

use crate::control_planes::{establish, spec};
use crate::plans::{before, is_closed, page, positions};
use crate::removals::cluster_facts;
use crate::support::{bare_facts, manifest, spec_of};

/// Returns three control-plane nodes and a worker that run this version.
fn facts(version: &str) -> Facts {
    facts_of(&spec(), version)
}

fn facts_of(spec: &ClusterSpec, version: &str) -> Facts {
    let mut facts = bare_facts(spec);
    let names: Vec<String> = facts.hosts.keys().map(ToString::to_string).collect();
    for name in names {
        if name.starts_with("cp-") {
            establish(&mut facts, &name);
        }
    }
    for state in facts.hosts.values_mut() {
        let HostState::Reached(host) = state else {
            continue;
        };
        host.existing.slipway_cluster = Some("harbour".to_owned());
        host.existing.is_remembered = true;
        host.existing.kubelet_conf = true;
        host.kubelet = Some(KubeletFacts {
            path: "/usr/local/bin/kubelet".to_owned(),
            version: Some(version.to_owned()),
            cgroup_driver: None,
            active: true,
        });
    }
    let mut cluster = cluster_facts().cluster.unwrap();
    cluster.api_server_version = version.to_owned();
    cluster.nodes = spec
        .hosts
        .iter()
        .map(|host| slipway_api::NodeFacts {
            name: host.node_name().to_owned(),
            ready: true,
            roles: Vec::new(),
            kubelet_version: version.to_owned(),
            internal_ip: None,
            unschedulable: false,
            pod_subnet: None,
        })
        .collect();
    facts.cluster = Some(cluster);
    facts.cluster_from = Some("cp-1".parse().unwrap());
    facts
}

fn planned(spec: &ClusterSpec, facts: &Facts, options: &UpgradeOptions) -> Plan {
    plan_upgrade(spec, facts, &manifest(&spec.kubernetes_version), options).unwrap()
}

fn whole() -> Plan {
    planned(&spec(), &facts("v1.35.4"), &UpgradeOptions::default())
}

/// Returns where the step is that a node's change ends with.
fn end_of(plan: &Plan, node: &str) -> usize {
    let uncordon = format!("uncordon node {node}");
    positions(plan, |step| step.describe() == uncordon)[0]
}

#[test]
fn one_node_changes_after_the_other_and_each_component_after_the_one_it_needs() {
    let plan = whole();
    assert!(is_closed(&plan));
    insta::assert_snapshot!(page(&plan));
}

#[test]
fn everything_is_on_the_hosts_and_etcd_in_a_snapshot_before_the_first_interruption() {
    let plan = whole();
    let first = positions(&plan, |step| matches!(step, Step::DrainNode(_)))[0];
    let earlier = before(&plan, first);
    let is_brought = |step: &Step| {
        matches!(
            step,
            Step::ImportImage(_) | Step::StageBlobs(_) | Step::SnapshotEtcd(_)
        )
    };
    let brought = positions(&plan, is_brought);
    assert!(brought.len() > 20);
    assert!(brought.iter().all(|it| earlier.contains(it)));
    // From 1.36 on the API server's certificate has no rights without this.
    let roles = positions(&plan, |step| step.describe() == "apply roles for joining");
    assert!(earlier.contains(&roles[0]));
}

#[test]
fn no_kubelet_is_newer_than_an_api_server() {
    let plan = whole();
    let servers = positions(
        &plan,
        |step| matches!(step, Step::EnsureStaticPod(pod) if pod.name == "kube-apiserver"),
    );
    let kubelets = positions(
        &plan,
        |step| matches!(step, Step::InstallBlob(blob) if blob.name == "kubelet"),
    );
    assert_eq!((servers.len(), kubelets.len()), (3, 4));
    for kubelet in kubelets {
        let own = &plan.steps[kubelet].host;
        let earlier = before(&plan, kubelet);
        let needed = servers
            .iter()
            .filter(|it| own.as_str().starts_with("w-") || plan.steps[**it].host == *own);
        assert!(needed.into_iter().all(|it| earlier.contains(it)), "{own}");
    }
}

#[test]
fn a_node_waits_until_the_one_before_it_is_back() {
    let plan = whole();
    for (first, second) in [("cp-1", "cp-2"), ("cp-2", "cp-3"), ("cp-3", "w-1")] {
        let end = end_of(&plan, first);
        let drain = format!("cordon and drain node {second}");
        let drain = positions(&plan, |step| step.describe() == drain);
        assert!(drain.iter().all(|it| before(&plan, *it).contains(&end)));
    }
}

#[test]
fn addons_are_new_after_the_last_api_server_and_before_the_first_worker() {
    let plan = whole();
    let addons = positions(&plan, |step| step.describe() == "apply kube-proxy");
    assert!(before(&plan, addons[0]).contains(&end_of(&plan, "cp-3")));
    assert!(before(&plan, end_of(&plan, "w-1")).contains(&addons[0]));
}

#[test]
fn a_minor_in_between_is_the_control_plane_s_alone() {
    let spec = spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n",
    );
    let options = UpgradeOptions {
        workers: false,
        ..UpgradeOptions::default()
    };
    let plan = planned(&spec, &facts_of(&spec, "v1.35.4"), &options);
    assert!(plan.steps.iter().all(|it| it.host.as_str() == "cp-1"));
    assert!(positions(&plan, |step| step.describe() == "apply kube-proxy").is_empty());
    assert_eq!(
        positions(&plan, |step| step.describe() == "apply kubeadm-config").len(),
        1
    );
    // The only worker cannot take a control-plane node's pods, but what runs there endures it.
    assert_eq!(plan.ways_back.len(), 1);
}

#[test]
fn a_node_is_not_drained_where_no_other_could_take_its_pods() {
    let spec = spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n",
    );
    let plan = planned(
        &spec,
        &facts_of(&spec, "v1.35.4"),
        &UpgradeOptions::default(),
    );
    let drained = positions(&plan, |step| matches!(step, Step::DrainNode(_)));
    let drained: Vec<String> = drained
        .into_iter()
        .map(|it| plan.steps[it].step.describe())
        .collect();
    assert_eq!(drained, ["cordon and drain node cp-1"]);
}

#[test]
fn several_workers_may_be_away_at_a_time() {
    let spec = spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n\
        \x20   - { name: w-2, address: 192.0.2.22, role: worker }\n\
        \x20   - { name: w-3, address: 192.0.2.23, role: worker }\n",
    );
    let options = UpgradeOptions {
        max_unavailable: 2,
        ..UpgradeOptions::default()
    };
    let plan = planned(&spec, &facts_of(&spec, "v1.35.4"), &options);
    let waits = |later: &str, earlier: &str| {
        let drain = format!("cordon and drain node {later}");
        let drain = positions(&plan, |step| step.describe() == drain)[0];
        before(&plan, drain).contains(&end_of(&plan, earlier))
    };
    assert!(!waits("w-2", "w-1"));
    assert!(waits("w-3", "w-1"));
    assert!(!waits("w-3", "w-2"));
}

#[test]
fn where_nothing_differs_nothing_is_drained_kept_or_put_in_a_snapshot() {
    let plan = whole();
    let is_ours = |step: &Step| {
        matches!(
            step,
            Step::DrainNode(_) | Step::KeepNode(_) | Step::StageBlobs(_) | Step::SnapshotEtcd(_)
        )
    };
    // All that cannot be content by itself is asked for.
    let checks = plan.steps.iter().filter(|it| !is_ours(&it.step));
    let checks = checks.map(|it| (it.id.clone(), Check::Satisfied)).collect();
    let left = plan.without_satisfied(&checks);
    assert!(left.is_empty(), "{}", page(&left));
    assert!(left.ways_back.is_empty());
}

#[test]
fn a_new_flag_alone_restarts_one_api_server_and_drains_nothing() {
    let plan = whole();
    let is_manifest = |id: &StepId| {
        id.as_str() == "cp-2/control-plane/write /etc/kubernetes/manifests/kube-apiserver.yaml"
    };
    let is_ours = |step: &Step| {
        matches!(
            step,
            Step::DrainNode(_) | Step::KeepNode(_) | Step::SnapshotEtcd(_)
        )
    };
    let others = plan.steps.iter();
    let others = others.filter(|it| !is_manifest(&it.id) && !is_ours(&it.step));
    let checks = others.map(|it| (it.id.clone(), Check::Satisfied)).collect();
    insta::assert_snapshot!(page(&plan.without_satisfied(&checks)), @r"
    prepare-upgrade    cp-1  take a snapshot of etcd
    prepare-upgrade    cp-2  keep this host's files as they are
    control-plane      cp-2  write /etc/kubernetes/manifests/kube-apiserver.yaml
    wait-control-plane cp-2  run static Pod kube-apiserver
    wait-control-plane cp-2  wait until the API server is ready
    node-ready         cp-2  forget the files that were kept
    ");
}

#[test]
fn a_node_that_is_drained_comes_back_though_nothing_was_cordoned_when_the_plan_was_made() {
    let plan = whole();
    let is_left = |step: &Step| {
        matches!(step, Step::DrainNode(_) | Step::KeepNode(_))
            || matches!(step, Step::InstallBlob(step) if step.name == "kubelet")
    };
    let others = plan.steps.iter().filter(|it| !is_left(&it.step));
    let checks = others.map(|it| (it.id.clone(), Check::Satisfied)).collect();
    let left = plan.without_satisfied(&checks);
    for node in ["cp-1", "cp-2", "cp-3"] {
        let back = format!("uncordon node {node}");
        assert_eq!(positions(&left, |step| step.describe() == back).len(), 1);
    }
    let forgets = positions(&left, |step| matches!(step, Step::ForgetKept(_)));
    assert_eq!(forgets.len(), 4);
}

#[test]
fn the_way_back_puts_files_back_and_starts_what_reads_them() {
    let plan = whole();
    let way = plan.ways_back.iter().find(|it| it.host.as_str() == "cp-2");
    let way = way.unwrap();
    let ids: Vec<&str> = way.steps.iter().map(|it| it.id.as_str()).collect();
    insta::assert_debug_snapshot!(ids);
    // Whatever a guarded step writes is kept.
    let keep = plan.steps.iter().find_map(|it| {
        if let Step::KeepNode(step) = &it.step
            && it.host.as_str() == "cp-2"
        {
            return Some(step);
        }
        None
    });
    insta::assert_debug_snapshot!(keep.unwrap().paths);
    let guards = |describe: &str| way.guards.iter().any(|it| it.as_str().ends_with(describe));
    assert!(guards("cordon and drain node cp-2"));
    assert!(guards("uncordon node cp-2"));
    assert!(!guards("forget the files that were kept"));
}

#[test]
fn a_component_that_does_not_come_up_is_told_at_once() {
    let plan = whole();
    for condition in [
        Condition::EtcdHealthy,
        Condition::ApiServerReady,
        Condition::ControllerManagerHealthy,
        Condition::SchedulerHealthy,
    ] {
        let waits = positions(
            &plan,
            |step| matches!(step, Step::WaitFor(wait) if wait.condition == condition && wait.fails_fast),
        );
        assert_eq!(waits.len(), 3, "{condition}");
    }
}

#[test]
fn a_control_plane_takes_every_minor() {
    let path = |from: &str, target: KubernetesVersion, known: &[KubernetesVersion]| {
        let mut spec = spec();
        spec.kubernetes_version = target;
        UpgradePath::of(&spec, &facts(from), known)
    };
    let version = KubernetesVersion::new;
    let long = path("v1.34.4", version(36, 3), &[version(35, 1), version(35, 2)]).unwrap();
    assert_eq!(long.hops, [version(35, 2), version(36, 3)]);
    let tested = path("v1.34.4", version(36, 3), &[]).unwrap();
    assert_eq!(tested.hops, [version(35, 4), version(36, 3)]);
    let short = path("v1.36.1", version(36, 3), &[]).unwrap();
    assert_eq!(short.hops, [version(36, 3)]);
    let same = path("v1.36.3", version(36, 3), &[]).unwrap();
    assert!(same.is_same_version());
    assert_eq!(
        path("v1.36.3", version(35, 4), &[]),
        Err(WrongTarget::Older {
            running: version(36, 3),
            target: version(35, 4),
        })
    );
}

#[test]
fn an_upgrade_that_was_cut_off_goes_on_from_the_oldest_node() {
    let mut facts = facts("v1.35.4");
    let name = "cp-3".parse().unwrap();
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&name) else {
        panic!("it is reached");
    };
    host.kubelet.as_mut().unwrap().version = Some("v1.34.4".to_owned());
    let mut spec = spec();
    spec.kubernetes_version = KubernetesVersion::new(36, 3);
    let path = UpgradePath::of(&spec, &facts, &[]).unwrap();
    assert_eq!(path.from, KubernetesVersion::new(34, 4));
    let hops = [KubernetesVersion::new(35, 4), KubernetesVersion::new(36, 3)];
    assert_eq!(path.hops, hops);
}
