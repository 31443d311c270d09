//! Control-plane nodes leave a cluster that goes on.

use crate::control_planes::{establish, spec};
use crate::plans::{is_closed, left_out, lose};
use crate::support::bare_facts;
use slipway_api::{
    ClusterFacts, EtcdFacts, EtcdMember, EtcdMemberFacts, EtcdMemberId, Facts, Failure, Plan,
};
use slipway_planner::{PlanError, Removal, plan_removal};

/// Returns the facts of three control-plane nodes that run, cp-1 speaking.
pub(crate) fn running() -> Facts {
    let mut facts = bare_facts(&spec());
    for host in ["cp-1", "cp-2", "cp-3"] {
        establish(&mut facts, host);
    }
    facts.cluster_from = Some("cp-1".parse().expect("a name"));
    facts.cluster = Some(ClusterFacts {
        api_server_version: "v1.36.3".to_owned(),
        nodes: Vec::new(),
        unhealthy: Vec::new(),
        configuration: Some(serde_json::json!({ "controlPlaneEndpoint": "192.0.2.11:6443" })),
    });
    facts
}

/// Returns a member on each control-plane host; those in `sick` are not healthy.
pub(crate) fn members(sick: &[&str]) -> EtcdFacts {
    let member = |number: u64| {
        let name = format!("cp-{number}");
        EtcdMemberFacts {
            failure: sick
                .contains(&name.as_str())
                .then(|| Failure::because("nobody answers")),
            status: None,
            member: EtcdMember {
                id: EtcdMemberId::new(number),
                name,
                peer_urls: vec![format!("https://192.0.2.1{number}:2380")],
                client_urls: vec![format!("https://192.0.2.1{number}:2379")],
                is_learner: false,
            },
        }
    };
    EtcdFacts {
        members: (1..=3).map(member).collect(),
        alarms: Vec::new(),
    }
}

fn removal_of(hosts: &[&str], force_quorum_loss: bool) -> Removal {
    Removal {
        hosts: hosts
            .iter()
            .map(|name| name.parse().expect("a name"))
            .collect(),
        drain_timeout_seconds: 300,
        delete_empty_dir_data: false,
        force_quorum_loss,
    }
}

/// Returns what happens before hosts are cleaned, a line each.
fn departures(plan: &Plan) -> Vec<String> {
    assert!(is_closed(plan));
    let ids = plan.steps.iter().map(|step| step.id.to_string());
    ids.filter(|id| !id.contains("/cleanup-node/")).collect()
}

#[test]
fn a_member_is_out_of_etcd_before_anything_on_its_host_goes() {
    let plan = plan_removal(
        &spec(),
        &running(),
        Some(&members(&[])),
        &removal_of(&["cp-3"], false),
    );
    let plan = plan.unwrap();
    assert_eq!(
        departures(&plan),
        [
            "cp-1/remove-node/cordon and drain node cp-3",
            "cp-1/remove-node/remove cp-3 from etcd",
            "cp-3/remove-node/stop and disable kubelet.service",
            "cp-1/remove-node/delete node cp-3",
        ]
    );
    for pair in plan.steps.windows(2) {
        assert!(pair[1].needs.contains(&pair[0].id), "{}", pair[1].id);
    }
}

#[test]
fn the_first_goes_too_and_kubeadm_s_joins_are_sent_to_one_that_stays() {
    let plan = plan_removal(
        &spec(),
        &running(),
        Some(&members(&[])),
        &removal_of(&["cp-1"], false),
    );
    assert_eq!(
        departures(&plan.unwrap())[..3],
        [
            "cp-2/upload-config/send kubeadm's joins to 192.0.2.12:6443 instead of 192.0.2.11:6443",
            "cp-2/remove-node/cordon and drain node cp-1",
            "cp-2/remove-node/remove cp-1 from etcd",
        ]
    );
}

#[test]
fn a_dead_member_leaves_and_its_host_is_left_out() {
    let mut facts = running();
    lose(&mut facts, "cp-3");
    let plan = plan_removal(
        &spec(),
        &facts,
        Some(&members(&["cp-3"])),
        &removal_of(&["cp-3"], false),
    );
    let plan = plan.unwrap();
    assert_eq!(
        departures(&plan),
        [
            "cp-1/remove-node/cordon and drain node cp-3",
            "cp-1/remove-node/remove cp-3 from etcd",
            "cp-1/remove-node/delete node cp-3",
        ]
    );
    assert_eq!(left_out(&plan), ["cp-3"]);
}

#[test]
fn the_quorum_is_counted_before_anything_is_done() {
    let refused = |sick: &[&str], going: &[&str]| {
        let removal = removal_of(going, false);
        let plan = plan_removal(&spec(), &running(), Some(&members(sick)), &removal);
        plan.unwrap_err().to_string()
    };
    assert_eq!(
        refused(&["cp-3"], &["cp-2"]),
        "without cp-2 etcd would lose its quorum: 1 of the 2 members left would be healthy, and 2 must be"
    );
    assert_eq!(
        refused(&["cp-2", "cp-3"], &["cp-3"]),
        "cp-3 cannot be taken out of etcd: 1 of 3 members are healthy, and it changes its members only while 2 are"
    );
}

#[test]
fn of_two_that_leave_the_dead_one_goes_first() {
    let plan = plan_removal(
        &spec(),
        &running(),
        Some(&members(&["cp-3"])),
        &removal_of(&["cp-2", "cp-3"], false),
    );
    let plan = plan.unwrap();
    let removals: Vec<String> = departures(&plan)
        .into_iter()
        .filter(|id| id.contains("from etcd"))
        .collect();
    assert_eq!(
        removals,
        [
            "cp-1/remove-node/remove cp-3 from etcd",
            "cp-1/remove-node/remove cp-2 from etcd",
        ]
    );
}

#[test]
fn a_forced_removal_asks_etcd_for_nothing_that_it_cannot_do() {
    let facts = running();
    let removal = removal_of(&["cp-2"], true);
    let plan = plan_removal(&spec(), &facts, Some(&members(&["cp-3"])), &removal).unwrap();
    let departures = departures(&plan);
    assert!(
        !departures.iter().any(|id| id.contains("from etcd")),
        "{departures:?}"
    );
    assert!(plan.steps.iter().any(|step| step.host.as_str() == "cp-2"));
    // Without a member that answers nothing is known of the quorum.
    let silent = plan_removal(&spec(), &facts, None, &removal_of(&["cp-2"], false));
    assert!(matches!(silent, Err(PlanError::EtcdSilent { .. })));
}

#[test]
fn whoever_stays_must_have_a_control_plane() {
    let mut facts = bare_facts(&spec());
    establish(&mut facts, "cp-1");
    let removal = removal_of(&["cp-1"], false);
    let error = plan_removal(&spec(), &facts, None, &removal).unwrap_err();
    assert!(
        matches!(error, PlanError::LastControlPlane { .. }),
        "{error}"
    );
    lose(&mut facts, "cp-3");
    let error = plan_removal(&spec(), &facts, None, &removal).unwrap_err();
    assert!(matches!(error, PlanError::HostNotReached { .. }), "{error}");
}
