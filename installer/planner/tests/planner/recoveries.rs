//! The recovery of etcd after the loss of its quorum, as a plan.

use std::collections::BTreeMap;

use slipway_api::{Check, Facts, Failure, HostName, HostState, Plan, Step};
use slipway_planner::{EtcdViews, PlanError, choose_survivor, plan_recovery};

use crate::plans::{before, positions};
use crate::support::{bare_facts, etcd_of_five, five_control_planes};

fn name(number: u64) -> HostName {
    format!("cp-{number}").parse().unwrap()
}

/// Returns facts of five control-plane nodes of which these are reached.
fn facts(reached: &[u64]) -> Facts {
    let spec = five_control_planes();
    let mut facts = bare_facts(&spec);
    for number in 1..=5 {
        let state = facts.hosts.get_mut(&name(number)).unwrap();
        if !reached.contains(&number) {
            *state = HostState::Unreached {
                failure: Failure::because("no route"),
            };
        } else if let HostState::Reached(facts) = state {
            facts.existing.kubelet_conf = true;
        }
    }
    facts
}

/// Returns how that looks from each of them.
fn views(answering: &[(u64, u64)]) -> EtcdViews {
    let view = |it: &(u64, u64)| (name(it.0), etcd_of_five(answering));
    answering.iter().map(view).collect()
}

fn planned(facts: &Facts, views: &EtcdViews, chosen: Option<u64>) -> Result<Plan, PlanError> {
    let chosen = chosen.map(name);
    plan_recovery(
        &five_control_planes(),
        facts,
        views,
        chosen.as_ref(),
        "run-1",
    )
}

fn survivor_of(plan: &Plan) -> String {
    let is_it = |step: &Step| matches!(step, Step::RecoverEtcd(_));
    let step = plan.steps.iter().find(|it| is_it(&it.step));
    step.unwrap().host.to_string()
}

#[test]
fn the_member_that_has_most_goes_on_and_everything_else_stops_first() {
    let plan = planned(&facts(&[2, 3, 4]), &views(&[(2, 6000), (4, 6007)]), None).unwrap();
    let lines: Vec<String> = plan
        .steps
        .iter()
        .map(|it| format!("{} {}", it.host, it.step.describe()))
        .collect();
    assert_eq!(
        lines,
        [
            "cp-4 write /var/lib/slipway/etcd/recovering",
            "cp-2 stop kube-apiserver, etcd",
            "cp-2 move etcd's data aside into /var/lib/etcd/before-run-1",
            "cp-3 stop kube-apiserver, etcd",
            "cp-3 move etcd's data aside into /var/lib/etcd/before-run-1",
            "cp-4 stop kube-apiserver, etcd",
            "cp-4 make etcd member cp-4 a cluster of one, a copy of its data kept in /var/lib/etcd/before-run-1",
            "cp-4 start etcd, kube-apiserver again",
            "cp-4 wait until the API server is ready",
            "cp-4 delete /var/lib/slipway/etcd/recovering",
        ]
    );
    let stops = positions(&plan, |step| {
        matches!(step, Step::HoldStaticPods(_) | Step::SetEtcdAside(_))
    });
    let [recover] = positions(&plan, |step| matches!(step, Step::RecoverEtcd(_)))[..] else {
        panic!("one recovers");
    };
    assert!(
        stops
            .iter()
            .all(|stop| before(&plan, recover).contains(stop))
    );
}

#[test]
fn the_host_that_is_named_goes_on_though_another_has_more() {
    let (facts, views) = (facts(&[2, 4]), views(&[(2, 6000), (4, 6007)]));
    assert_eq!(
        survivor_of(&planned(&facts, &views, Some(2)).unwrap()),
        "cp-2"
    );
    let refused = planned(&facts, &views, Some(1));
    assert!(
        matches!(refused, Err(PlanError::NoEtcdSurvivor { host: Some(_) })),
        "{refused:?}"
    );
}

#[test]
fn equal_members_are_taken_in_the_order_of_their_names() {
    let spec = five_control_planes();
    let chosen = choose_survivor(&spec, &facts(&[2, 4]), &views(&[(2, 6), (4, 6)]), None).unwrap();
    assert_eq!(chosen.host, name(2));
    assert_eq!((chosen.answering, chosen.voters, chosen.quorum), (2, 5, 3));
}

#[test]
fn a_quorum_that_holds_or_could_is_left_alone() {
    let running = [(1, 6), (2, 6), (3, 6)];
    let all = facts(&[1, 2, 3]);
    let error = planned(&all, &views(&running), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "etcd is not lost: 3 of 5 members answer, 0 are healthy, and the quorum is 3"
    );
    assert!(error.help().unwrap().contains("TCP port 2380"));
    let mut views = views(&running);
    for etcd in views.values_mut() {
        etcd.members[0].failure = None;
    }
    let error = planned(&all, &views, None).unwrap_err();
    assert!(
        matches!(error, PlanError::EtcdHasQuorum { healthy: 1, .. }),
        "{error}"
    );
}

#[test]
fn a_member_that_nobody_can_stop_must_not_go_on_beside_it() {
    let error = planned(&facts(&[2]), &views(&[(2, 6), (4, 6)]), None).unwrap_err();
    assert!(
        matches!(&error, PlanError::EtcdMemberAlive { member } if member == "cp-4"),
        "{error}"
    );
}

#[test]
fn without_a_survivor_there_is_no_recovery() {
    let error = planned(&facts(&[2]), &BTreeMap::new(), None).unwrap_err();
    assert!(
        matches!(error, PlanError::NoEtcdSurvivor { host: None }),
        "{error}"
    );
    assert!(error.help().unwrap().contains("etcd restore"));
}

#[test]
fn one_that_was_cut_off_goes_on_under_its_own_name_while_nobody_answers() {
    let mut facts = facts(&[2, 4]);
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&name(4)) {
        host.existing.etcd_recovery = Some("run-0".to_owned());
    }
    let plan = planned(&facts, &BTreeMap::new(), None).unwrap();
    assert_eq!(survivor_of(&plan), "cp-4");
    assert!(
        plan.steps
            .iter()
            .any(|it| it.step.describe().ends_with("before-run-0"))
    );
    let refused = planned(&facts, &BTreeMap::new(), Some(2));
    assert!(
        matches!(refused, Err(PlanError::RecoveryUnderWay { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_was_running_when_it_was_looked_at_is_started_again_and_the_note_goes() {
    let plan = planned(&facts(&[4]), &views(&[(4, 6)]), None).unwrap();
    let content = |step: &Step| {
        matches!(
            step,
            Step::ReleaseStaticPods(_) | Step::WaitFor(_) | Step::RemovePath(_)
        )
    };
    let checks = plan.steps.iter().filter(|it| content(&it.step));
    let checks = checks.map(|it| (it.id.clone(), Check::Satisfied)).collect();
    let left = plan.clone().without_satisfied(&checks);
    assert_eq!(left.steps.len(), plan.steps.len());
}
