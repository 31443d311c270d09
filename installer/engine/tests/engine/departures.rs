//! Control-plane nodes leave and others come, cut off anywhere: nothing is wiped
//! before its member is out, and the same command again ends in the same state.

use std::sync::LazyLock;

use slipway_api::{
    ClusterFacts, ClusterSpec, EtcdFacts, EtcdMember, EtcdMemberFacts, EtcdMemberId, Facts,
    HostState, Plan, Step,
};
use slipway_hosts::FakeHost;
use slipway_planner::{Departure, Scope, plan_apply};

use crate::control_planes::script;
use crate::cuts::Cuts;
use crate::support::{bare_facts, manifest, spec_of};

/// Returns the file with the hosts of these numbers.
fn file(numbers: &[u8]) -> ClusterSpec {
    let line = |number: &u8| {
        format!("    - {{ name: cp-{number}, address: 192.0.2.1{number}, role: control-plane }}\n")
    };
    spec_of(&format!(
        "  hosts:\n{}",
        numbers.iter().map(line).collect::<String>()
    ))
}

/// Returns the facts where cp-1 to cp-3 are a cluster and cp-4 is bare.
fn seen() -> Facts {
    let mut facts = bare_facts(&file(&[1, 2, 3, 4]));
    for (name, host) in &mut facts.hosts {
        let HostState::Reached(host) = host else {
            continue;
        };
        if name.as_str() != "cp-4" {
            host.existing.slipway_cluster = Some("harbour".to_owned());
            host.existing.admin_conf = true;
            host.existing.kubelet_conf = true;
            host.existing.etcd_data = true;
            host.existing.manifests = vec!["kube-apiserver.yaml".to_owned()];
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

/// Returns etcd of cp-1 to cp-3, all of them healthy.
pub(crate) fn etcd_of_three() -> EtcdFacts {
    let members = (1..=3).map(|number| EtcdMemberFacts {
        member: EtcdMember {
            id: EtcdMemberId::new(number),
            name: format!("cp-{number}"),
            peer_urls: vec![format!("https://192.0.2.1{number}:2380")],
            client_urls: Vec::new(),
            is_learner: false,
        },
        status: None,
        failure: None,
    });
    EtcdFacts {
        members: members.collect(),
        alarms: Vec::new(),
    }
}

/// Returns the plan that puts cp-4 in cp-1's place.
fn plan() -> Plan {
    let etcd = etcd_of_three();
    let spec = file(&[2, 3, 4]);
    let departure = Departure {
        hosts: &file(&[1]).hosts,
        etcd: Some(&etcd),
    };
    let manifest = manifest(&spec.kubernetes_version);
    plan_apply(&spec, &seen(), &manifest, &Scope::All, departure).expect("a plan")
}

/// The plan, made once: each cut looks at it.
static PLAN: LazyLock<Plan> = LazyLock::new(plan);

fn hosts() -> Vec<FakeHost> {
    let host = |name| FakeHost::new(name).with_script(|request, _| script(request).map(Ok));
    let spec = file(&[1, 2, 3, 4]);
    spec.hosts.into_iter().map(|it| host(it.name)).collect()
}

/// What must hold wherever a run ends.
fn assert_order(hosts: &[FakeHost], what: &str) {
    let steps: Vec<Vec<Step>> = hosts.iter().map(FakeHost::applied_steps).collect();
    let has = |host: usize, wanted: fn(&Step) -> bool| steps[host].iter().any(wanted);
    let is_wiped = has(0, |step| {
        matches!(
            step,
            Step::RemovePath(_) | Step::RemovePods(_) | Step::RemoveFiles(_)
        )
    });
    let is_out = has(1, |step| matches!(step, Step::RemoveEtcdMember(_)));
    let has_joined = has(3, |step| matches!(step, Step::JoinEtcd(_)));
    let is_stored = has(
        1,
        |step| matches!(step, Step::ApplyObjects(step) if step.name == "slipway-cluster"),
    );
    assert!(
        is_out || !is_wiped,
        "{what}: wiped before its member was out"
    );
    assert!(
        has_joined || !is_out,
        "{what}: out before the new one was in"
    );
    let last = PLAN.steps.iter().rfind(|step| step.host.as_str() == "cp-1");
    let last = last.map(|step| &step.step);
    let is_clean = steps[0].last() == last;
    assert!(
        is_clean || !is_stored,
        "{what}: the new file was stored before the old host was clean"
    );
}

#[tokio::test]
async fn a_replacement_that_is_cut_off_anywhere_loses_no_vote_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(),
        plan: PLAN.clone(),
        hosts,
        assert_order,
        again: |_| None,
        is_extra: |_| false,
    };
    cuts.end_the_same().await;
}
