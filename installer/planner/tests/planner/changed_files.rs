//! A file with other hosts than the one last applied.

use crate::control_planes::{before, establish, spec};
use crate::departures::{members, running};
use crate::plans::{is_closed, left_out, lose};
use crate::support::{bare_host, manifest};
use slipway_api::{ClusterSpec, EtcdFacts, Facts, HostSpec, HostState, Plan};
use slipway_planner::{Departure, PlanError, Scope, plan_apply, plan_cluster};

/// Returns the file without these hosts, and those hosts.
fn without(names: &[&str]) -> (ClusterSpec, Vec<HostSpec>) {
    let mut spec = spec();
    let (gone, stay): (Vec<HostSpec>, Vec<HostSpec>) = spec
        .hosts
        .into_iter()
        .partition(|host| names.contains(&host.name.as_str()));
    spec.hosts = stay;
    (spec, gone)
}

/// Adds a bare control-plane host to file and facts.
fn add_bare(spec: &mut ClusterSpec, facts: &mut Facts, name: &str, last: u8) {
    let mut host = spec.hosts[0].clone();
    host.name = name.parse().expect("a name");
    host.node_ip = [192, 0, 2, last].into();
    host.address = host.node_ip.to_string();
    let state = HostState::Reached(Box::new(bare_host(name, host.node_ip)));
    facts.hosts.insert(host.name.clone(), state);
    spec.hosts.push(host);
}

fn planned(
    spec: &ClusterSpec,
    facts: &Facts,
    gone: &[HostSpec],
    etcd: &EtcdFacts,
) -> Result<Plan, PlanError> {
    let departure = Departure {
        hosts: gone,
        etcd: Some(etcd),
    };
    let manifest = manifest(&spec.kubernetes_version);
    plan_apply(spec, facts, &manifest, &Scope::All, departure)
}

fn position(plan: &Plan, id: &str) -> usize {
    let found = plan.steps.iter().position(|step| step.id.as_str() == id);
    found.unwrap_or_else(|| panic!("there is no {id}"))
}

#[test]
fn a_file_with_the_same_hosts_is_planned_as_ever() {
    let spec = spec();
    let facts = running();
    let manifest = manifest(&spec.kubernetes_version);
    let plan = planned(&spec, &facts, &[], &members(&[])).unwrap();
    assert_eq!(
        plan,
        plan_cluster(&spec, &facts, &manifest, &Scope::All).unwrap()
    );
}

#[test]
fn a_healthy_host_leaves_once_the_new_one_is_ready() {
    let (mut spec, gone) = without(&["cp-1", "w-1"]);
    let mut facts = running();
    establish(&mut facts, "w-1");
    facts.cluster_from = Some("cp-2".parse().unwrap());
    add_bare(&mut spec, &mut facts, "cp-4", 14);
    let plan = planned(&spec, &facts, &gone, &members(&[])).unwrap();
    assert!(is_closed(&plan));
    let removed = position(&plan, "cp-2/remove-node/remove cp-1 from etcd");
    assert!(position(&plan, "cp-4/etcd/join etcd as cp-4") < removed);
    // Cut off before this, the next run finds the old file and the old hosts.
    let file = plan.steps.last().unwrap();
    assert_eq!(file.id.as_str(), "cp-2/upload-config/apply slipway-cluster");
    let last_on = |host: &str| {
        let mut steps = plan.steps.iter().rev();
        let last = steps.find(|step| step.host.as_str() == host);
        last.unwrap().id.clone()
    };
    assert!(file.needs.contains(&last_on("cp-1")));
    assert!(file.needs.contains(&last_on("w-1")));
    let because = &plan.steps[removed].because;
    assert_eq!(because, "its host is no longer in the file");
}

#[test]
fn a_dead_host_leaves_before_the_new_one_joins() {
    let (mut spec, gone) = without(&["cp-3"]);
    let mut facts = running();
    lose(&mut facts, "cp-3");
    add_bare(&mut spec, &mut facts, "cp-4", 14);
    let plan = planned(&spec, &facts, &gone, &members(&["cp-3"])).unwrap();
    assert!(is_closed(&plan));
    assert_eq!(left_out(&plan), ["cp-3"]);
    let before_join = before(&plan, "cp-4/etcd/join etcd as cp-4");
    assert!(before_join.contains("cp-1/remove-node/delete node cp-3"));
}

#[test]
fn the_votes_of_those_that_join_are_counted() {
    // One control-plane node is replaced by another: only the other's vote lets it go.
    let (mut spec, gone) = without(&["cp-1", "cp-2", "cp-3"]);
    let mut facts = running();
    establish(&mut facts, "cp-1");
    for name in ["cp-2", "cp-3"] {
        let host = gone.iter().find(|host| host.name.as_str() == name).unwrap();
        spec.hosts.insert(0, host.clone());
    }
    let one = [gone
        .iter()
        .find(|host| host.name.as_str() == "cp-1")
        .unwrap()
        .clone()];
    let mut etcd = members(&[]);
    etcd.members.retain(|it| it.member.name != "cp-3");
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"cp-3".parse().unwrap()) {
        **host = bare_host("cp-3", [192, 0, 2, 13].into());
    }
    facts.cluster_from = Some("cp-2".parse().unwrap());
    let plan = planned(&spec, &facts, &one, &etcd).unwrap();
    let joined = position(&plan, "cp-3/etcd/join etcd as cp-3");
    assert!(joined < position(&plan, "cp-2/remove-node/remove cp-1 from etcd"));
}

#[test]
fn a_file_that_would_cost_the_quorum_is_refused() {
    let (spec, gone) = without(&["cp-2"]);
    let error = planned(&spec, &running(), &gone, &members(&["cp-3"])).unwrap_err();
    assert!(matches!(error, PlanError::QuorumLoss { .. }), "{error}");
}

#[test]
fn with_one_api_server_left_workers_lose_their_balancer_after_the_kubelet_s_restart() {
    let (spec, gone) = without(&["cp-2", "cp-3"]);
    let mut facts = running();
    establish(&mut facts, "w-1");
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.balancer = true;
    }
    let plan = planned(&spec, &facts, &gone, &members(&[])).unwrap();
    let stop = "w-1/node-ready/stop and disable slipway-apiserver-proxy.service";
    assert!(before(&plan, stop).contains("w-1/kubelet-start/start kubelet.service"));
    let unit = "w-1/node-ready/make systemd forget slipway-apiserver-proxy.service";
    assert!(before(&plan, unit).contains(stop));
    // Without one there is nothing to take away.
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.balancer = false;
    }
    let plan = planned(&spec, &facts, &gone, &members(&[])).unwrap();
    assert!(!plan.steps.iter().any(|step| step.id.as_str() == stop));
}
