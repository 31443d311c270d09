//! Several control-plane hosts: who leads, who joins, in which order.

use std::collections::BTreeSet;

use crate::plans::{is_closed, left_out, lose};
use crate::support::{bare_facts, manifest, spec_of};
use slipway_api::step::{CopyAuthorities, JoinEtcd};
use slipway_api::{ClusterFacts, ClusterSpec, Facts, HostState, Plan, PlannedStep, Step};
use slipway_planner::{PlanError, Scope, plan_cluster};

pub(crate) fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
        \x20   - { name: cp-3, address: 192.0.2.13, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n",
    )
}

fn planned(spec: &ClusterSpec, facts: &Facts, scope: &Scope) -> Result<Plan, PlanError> {
    plan_cluster(spec, facts, &manifest(&spec.kubernetes_version), scope)
}

fn whole(facts: &Facts) -> Plan {
    planned(&spec(), facts, &Scope::All).expect("everything is there")
}

/// Makes a host a control-plane node that runs.
pub(crate) fn establish(facts: &mut Facts, name: &str) {
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&name.parse().expect("a name")) else {
        panic!("{name} is not reached");
    };
    let existing = &mut host.existing;
    existing.slipway_cluster = Some("harbour".to_owned());
    existing.admin_conf = true;
    existing.kubelet_conf = true;
    existing.etcd_data = true;
    existing.manifests = ["etcd.yaml", "kube-apiserver.yaml"]
        .map(str::to_owned)
        .to_vec();
}

fn step<'a>(plan: &'a Plan, id: &str) -> &'a PlannedStep {
    let found = plan.steps.iter().find(|step| step.id.as_str() == id);
    found.unwrap_or_else(|| panic!("there is no {id}"))
}

fn joins(plan: &Plan) -> Vec<JoinEtcd> {
    let join = |step: &'_ PlannedStep| {
        if let Step::JoinEtcd(join) = &step.step {
            return Some(join.clone());
        }
        None
    };
    plan.steps.iter().filter_map(join).collect()
}

/// Returns everything that must be done before a step.
pub(crate) fn before(plan: &Plan, id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![id.to_owned()];
    while let Some(id) = open.pop() {
        for need in &step(plan, &id).needs {
            if found.insert(need.to_string()) {
                open.push(need.to_string());
            }
        }
    }
    found
}

#[test]
fn three_control_plane_nodes_join_etcd_one_by_one() {
    let plan = whole(&bare_facts(&spec()));
    assert!(is_closed(&plan));
    let joins = joins(&plan);
    let peers: Vec<Vec<&str>> = joins
        .iter()
        .map(|join| join.peers.iter().map(|peer| peer.host.as_str()).collect())
        .collect();
    assert_eq!(peers, [vec!["cp-1"], vec!["cp-1", "cp-2"]]);
    let second = before(&plan, "cp-3/etcd/join etcd as cp-3");
    assert!(second.contains("cp-2/wait-control-plane/wait until etcd is healthy"));
    assert!(second.contains("cp-1/wait-control-plane/wait until the API server is ready"));
    // Everything else of a host waits for no other's etcd.
    for id in [
        "cp-3/kubelet-start/wait until the kubelet is healthy",
        "cp-3/certs/issue certificate etcd-peer",
    ] {
        let others = before(&plan, id);
        assert!(
            !others.iter().any(|id| id.contains("join etcd")),
            "{id} waits for another's etcd"
        );
    }
}

#[test]
fn an_api_server_starts_once_its_etcd_votes() {
    let plan = whole(&bare_facts(&spec()));
    for host in ["cp-2", "cp-3"] {
        let id =
            format!("{host}/control-plane/write /etc/kubernetes/manifests/kube-apiserver.yaml");
        let needs = before(&plan, &id);
        assert!(
            needs.contains(&format!("{host}/etcd/join etcd as {host}")),
            "{needs:?}"
        );
    }
}

#[test]
fn only_the_first_makes_authorities_and_the_others_take_them() {
    let plan = whole(&bare_facts(&spec()));
    for step in &plan.steps {
        let text = step.step.describe();
        if text.contains("make certificate authority") || text.contains("super-admin") {
            assert_eq!(step.host.as_str(), "cp-1", "{text}");
        }
        if let Step::CopyAuthorities(CopyAuthorities { from, names, .. }) = &step.step {
            assert_eq!(from.as_str(), "cp-1");
            assert_eq!(names, &["ca", "front-proxy-ca", "etcd-ca", "sa"]);
        }
        if let Some(signer) = step.step.signer() {
            let is_worker = step.host.as_str() == "w-1";
            assert_eq!(
                signer.as_str(),
                if is_worker {
                    "cp-1"
                } else {
                    step.host.as_str()
                }
            );
        }
    }
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("PRIVATE KEY"));
}

#[test]
fn a_cluster_that_runs_is_led_by_one_of_its_own() {
    // The first of the file was replaced by a bare host.
    let mut facts = bare_facts(&spec());
    establish(&mut facts, "cp-2");
    establish(&mut facts, "cp-3");
    let plan = whole(&facts);
    let made = plan.steps.iter().filter(|step| {
        step.step.describe().contains("make certificate authority") && step.host.as_str() != "cp-2"
    });
    assert_eq!(made.count(), 0);
    let joins = joins(&plan);
    let names: Vec<&str> = joins.iter().map(|join| join.member_name.as_str()).collect();
    assert_eq!(names, ["cp-3", "cp-1"], "the new one comes last");
    assert_eq!(joins[1].peers.len(), 2);
    // Whose API server answers, leads.
    facts.cluster_from = Some("cp-3".parse().unwrap());
    assert!(
        whole(&facts)
            .steps
            .iter()
            .any(|step| step.id.as_str() == "cp-3/bootstrap-token/publish cluster-info")
    );
}

#[test]
fn no_second_cluster_is_started_while_a_control_plane_host_is_out_of_reach() {
    let mut facts = bare_facts(&spec());
    lose(&mut facts, "cp-3");
    let error = planned(&spec(), &facts, &Scope::All).unwrap_err();
    assert!(
        matches!(&error, PlanError::HostNotReached { host } if host.as_str() == "cp-3"),
        "{error}"
    );
    // Once there is a cluster, one that is down is left out.
    establish(&mut facts, "cp-1");
    let plan = whole(&facts);
    assert_eq!(left_out(&plan), ["cp-3"]);
    assert!(is_closed(&plan));
    assert!(plan.steps.iter().all(|step| step.host.as_str() != "cp-3"));
}

#[test]
fn the_lead_may_be_down() {
    let mut facts = bare_facts(&spec());
    establish(&mut facts, "cp-2");
    establish(&mut facts, "cp-3");
    lose(&mut facts, "cp-1");
    let plan = whole(&facts);
    assert_eq!(left_out(&plan), ["cp-1"]);
    let waits = plan
        .steps
        .iter()
        .find(|step| step.step.describe() == "wait until node w-1 is registered");
    assert_eq!(waits.unwrap().host.as_str(), "cp-2");
}

#[test]
fn members_that_run_restart_one_by_one() {
    let mut facts = bare_facts(&spec());
    for host in ["cp-1", "cp-2", "cp-3"] {
        establish(&mut facts, host);
    }
    let plan = whole(&facts);
    let needs = before(&plan, "cp-3/wait-control-plane/run static Pod etcd");
    assert!(needs.contains("cp-2/wait-control-plane/wait until etcd is healthy"));
    let needs = before(
        &plan,
        "cp-3/wait-control-plane/run static Pod kube-apiserver",
    );
    assert!(needs.contains("cp-2/wait-control-plane/wait until the API server is ready"));
}

#[test]
fn the_address_of_the_control_plane_stays_while_the_file_has_it() {
    let mut facts = bare_facts(&spec());
    for host in ["cp-1", "cp-2", "cp-3"] {
        establish(&mut facts, host);
    }
    let published = |facts: &Facts| {
        let plan = whole(facts);
        let info = plan.steps.into_iter().find_map(|step| {
            if let Step::PublishClusterInfo(info) = step.step {
                return Some(info.manifest);
            }
            None
        });
        info.expect("it is published")
    };
    facts.cluster_from = Some("cp-2".parse().unwrap());
    facts.cluster = Some(ClusterFacts {
        api_server_version: "v1.36.3".to_owned(),
        nodes: Vec::new(),
        unhealthy: Vec::new(),
        configuration: Some(serde_json::json!({ "controlPlaneEndpoint": "192.0.2.13:6443" })),
    });
    assert!(published(&facts).contains("https://192.0.2.13:6443"));
    // Nobody has that address any more.
    if let Some(cluster) = &mut facts.cluster {
        cluster.configuration =
            Some(serde_json::json!({ "controlPlaneEndpoint": "192.0.2.99:6443" }));
    }
    assert!(published(&facts).contains("https://192.0.2.12:6443"));
}

#[test]
fn a_lead_that_joined_once_is_told_the_same_members_again() {
    let mut facts = bare_facts(&spec());
    establish(&mut facts, "cp-2");
    let told = "cp-1=https://192.0.2.11:2380,cp-2=https://192.0.2.12:2380";
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"cp-2".parse().unwrap()) {
        host.existing.initial_cluster = told.split(',').map(str::to_owned).collect();
    }
    let plan = whole(&facts);
    let Step::WriteFile(file) =
        &step(&plan, "cp-2/etcd/write /etc/kubernetes/manifests/etcd.yaml").step
    else {
        panic!("it is a file");
    };
    assert!(
        file.content
            .contains(&format!("--initial-cluster={told}\n"))
    );
    assert!(file.content.contains("--initial-cluster-state=existing"));
}
