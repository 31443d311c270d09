//! Nodes are removed, cut off anywhere: nothing is wiped on a host that is still in the
//! cluster, and the same command again ends in the same state.

use std::sync::LazyLock;

use slipway_api::{ClusterFacts, ClusterSpec, Facts, HostState, KubeletFacts, Plan, Role, Step};
use slipway_hosts::{FakeHost, Host};
use slipway_planner::{Removal, plan_removal};

use crate::control_planes::script;
use crate::cuts::Cuts;
use crate::departures::etcd_of_three;
use crate::support::{bare_facts, spec_of};

fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
        \x20   - { name: cp-3, address: 192.0.2.13, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n\
        \x20   - { name: w-2, address: 192.0.2.22, role: worker }\n",
    )
}

/// Returns the facts of the cluster while all of it runs.
pub(crate) fn seen() -> Facts {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    for host in &spec.hosts {
        let Some(HostState::Reached(found)) = facts.hosts.get_mut(&host.name) else {
            continue;
        };
        found.existing.slipway_cluster = Some(spec.name.clone());
        found.existing.runtime_is_ours = true;
        found.existing.kubelet_conf = true;
        found.kubelet = Some(KubeletFacts {
            path: "/usr/local/bin/kubelet".to_owned(),
            version: Some("v1.36.3".to_owned()),
            cgroup_driver: None,
            active: true,
        });
        if host.role == Role::ControlPlane {
            found.existing.admin_conf = true;
            found.existing.etcd_data = true;
            found.existing.manifests = vec!["kube-apiserver.yaml".to_owned()];
        }
    }
    facts.cluster_from = Some("cp-2".parse().expect("a name"));
    facts.cluster = Some(ClusterFacts {
        api_server_version: "v1.36.3".to_owned(),
        nodes: Vec::new(),
        unhealthy: Vec::new(),
        configuration: None,
    });
    facts
}

fn plan(hosts: &[&str]) -> Plan {
    let names = hosts.iter().map(|name| name.parse().expect("a name"));
    let removal = Removal {
        hosts: names.collect(),
        drain_timeout_seconds: 300,
        delete_empty_dir_data: false,
        force_quorum_loss: false,
    };
    plan_removal(&spec(), &seen(), Some(&etcd_of_three()), &removal).expect("a plan")
}

fn hosts_named(names: &[&str]) -> Vec<FakeHost> {
    let names = names.iter().map(|name| name.parse().expect("a name"));
    let host = |name| FakeHost::new(name).with_script(|request, _| script(request).map(Ok));
    names.map(host).collect()
}

/// Whether anything of a host that its node needs is gone.
fn is_wiped(host: &FakeHost) -> bool {
    host.applied_steps().iter().any(|step| {
        matches!(
            step,
            Step::RemovePath(_) | Step::RemovePods(_) | Step::RemoveFiles(_)
        )
    })
}

fn has(host: &FakeHost, wanted: fn(&Step) -> bool) -> bool {
    host.applied_steps().iter().any(wanted)
}

const ALL: [&str; 5] = ["cp-1", "cp-2", "cp-3", "w-1", "w-2"];

/// The end of the whole cluster, planned once: each cut looks at it.
static END: LazyLock<Plan> = LazyLock::new(|| plan(&ALL));

#[tokio::test]
async fn the_end_of_a_cluster_that_is_cut_off_anywhere_takes_workers_first_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(),
        plan: END.clone(),
        hosts: || hosts_named(&ALL),
        assert_order: |hosts, what| {
            let is_clean = |host: &&FakeHost| {
                let mut steps = END.steps.iter();
                let last = steps.rfind(|step| step.host == *host.name());
                host.applied_steps().last() == last.map(|step| &step.step)
            };
            let (control_planes, workers) = hosts.split_at(3);
            let is_touched = |host: &FakeHost| !host.applied_steps().is_empty();
            assert!(
                workers.iter().all(|host| is_clean(&host))
                    || !control_planes.iter().any(is_touched),
                "{what}: the control plane went before its workers"
            );
        },
        again: |_| None,
        is_extra: |_| false,
    };
    cuts.end_the_same().await;
}

#[tokio::test]
async fn a_worker_s_removal_that_is_cut_off_anywhere_lets_it_go_first_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(),
        plan: plan(&["w-1"]),
        hosts: || hosts_named(&["cp-2", "w-1"]),
        assert_order: |hosts, what| {
            let [speaker, worker] = hosts else {
                panic!("two take part");
            };
            let is_drained = has(speaker, |step| matches!(step, Step::DrainNode(_)));
            let is_deleted = has(speaker, |step| matches!(step, Step::DeleteNode(_)));
            let is_silent = has(worker, |step| matches!(step, Step::StopUnit(_)));
            assert!(is_drained || !is_silent, "{what}: stopped with its pods");
            assert!(is_silent || !is_deleted, "{what}: it registers again");
            assert!(is_deleted || !is_wiped(worker), "{what}: wiped as a node");
            assert!(!is_wiped(speaker), "{what}: the wrong host");
        },
        again: |_| None,
        is_extra: |_| false,
    };
    cuts.end_the_same().await;
}

#[tokio::test]
async fn a_control_plane_node_s_removal_that_is_cut_off_anywhere_loses_no_vote_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(),
        plan: plan(&["cp-1"]),
        hosts: || hosts_named(&["cp-2", "cp-1"]),
        assert_order: |hosts, what| {
            let [speaker, leaving] = hosts else {
                panic!("two take part");
            };
            let is_held = has(leaving, |step| matches!(step, Step::HoldStaticPods(_)));
            let is_out = has(speaker, |step| matches!(step, Step::RemoveEtcdMember(_)));
            let is_deleted = has(speaker, |step| matches!(step, Step::DeleteNode(_)));
            let is_stopped = has(leaving, |step| matches!(step, Step::StopUnit(_)));
            assert!(is_held || !is_out, "{what}: its servers outlive its member");
            assert!(is_out || !is_stopped, "{what}: stopped while it votes");
            assert!(is_out || !is_wiped(leaving), "{what}: wiped while it votes");
            assert!(is_deleted || !is_wiped(leaving), "{what}: wiped as a node");
            assert!(!is_wiped(speaker), "{what}: the wrong host");
        },
        again: |_| None,
        is_extra: |_| false,
    };
    cuts.end_the_same().await;
}
