//! etcd is made a cluster of one after the loss of its quorum, cut off anywhere: no data is
//! touched while any reached member may run, and the same command again ends the same.

use std::collections::BTreeMap;

use slipway_api::{Facts, Failure, HostName, HostState, Plan, Step};
use slipway_hosts::FakeHost;
use slipway_planner::{EtcdViews, plan_recovery};

use crate::cuts::Cuts;
use crate::fakes::answer;
use crate::support::{bare_facts, etcd_of_five, five_control_planes};

/// Of five members these two are left; the second has more.
const SURVIVORS: [(u64, u64); 2] = [(2, 6000), (4, 6007)];

fn name(number: u64) -> HostName {
    format!("cp-{number}").parse().expect("a name")
}

/// Returns what is seen; the recovery under way on a host, if one was cut off there.
fn seen(under_way: Option<&str>) -> Facts {
    let mut facts = bare_facts(&five_control_planes());
    for (host, state) in &mut facts.hosts {
        let is_left = SURVIVORS.iter().any(|(number, _)| name(*number) == *host);
        if !is_left {
            *state = HostState::Unreached {
                failure: Failure::because("no route"),
            };
        } else if let HostState::Reached(facts) = state {
            facts.existing.kubelet_conf = true;
            if *host == name(4) {
                facts.existing.etcd_recovery = under_way.map(str::to_owned);
            }
        }
    }
    facts
}

fn views() -> EtcdViews {
    let view = |(number, _): (u64, u64)| (name(number), etcd_of_five(&SURVIVORS));
    SURVIVORS.into_iter().map(view).collect()
}

fn plan() -> Plan {
    plan_recovery(&five_control_planes(), &seen(None), &views(), None, "run-1").expect("a plan")
}

/// Returns what the same command plans once its first run was cut off: nobody answers any
/// more where everything is stopped, and the marker names what was begun.
fn plan_again() -> Plan {
    let (spec, facts) = (five_control_planes(), seen(Some("run-1")));
    plan_recovery(&spec, &facts, &BTreeMap::new(), None, "run-2").expect("a plan")
}

fn hosts() -> Vec<FakeHost> {
    let host = |(number, _): (u64, u64)| {
        FakeHost::new(name(number)).with_script(|request, _| answer(request).map(Ok))
    };
    SURVIVORS.into_iter().map(host).collect()
}

/// What must hold wherever a run ends.
fn assert_order(hosts: &[FakeHost], what: &str) {
    let has = |host: &FakeHost, wanted: fn(&Step) -> bool| host.applied_steps().iter().any(wanted);
    let [other, survivor] = hosts else {
        panic!("two are left");
    };
    let is_aside = |step: &Step| matches!(step, Step::SetEtcdAside(_));
    let is_held = |step: &Step| matches!(step, Step::HoldStaticPods(_));
    let is_recovered = |step: &Step| matches!(step, Step::RecoverEtcd(_));
    let is_started = |step: &Step| matches!(step, Step::ReleaseStaticPods(_));
    let is_marked = |step: &Step| matches!(step, Step::WriteFile(_));
    assert!(
        has(survivor, is_marked) || !hosts.iter().any(|host| has(host, is_held)),
        "{what}: stopped before anybody wrote down who goes on"
    );
    assert!(
        has(other, is_aside) && has(survivor, is_held) || !has(survivor, is_recovered),
        "{what}: alone beside data that may come back"
    );
    assert!(
        has(survivor, is_recovered) || !has(survivor, is_started),
        "{what}: started with its lost members"
    );
    assert!(!has(other, is_started), "{what}: two clusters");
    assert!(!has(other, is_recovered), "{what}: two clusters");
}

#[tokio::test]
async fn a_recovery_that_is_cut_off_anywhere_makes_one_cluster_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(None),
        plan: plan(),
        hosts,
        assert_order,
        is_extra: |_| false,
        again: |hosts| {
            let is_marked = |step: &Step| matches!(step, Step::WriteFile(_));
            let has_begun = hosts[1].applied_steps().iter().any(is_marked);
            has_begun.then(|| (seen(Some("run-1")), plan_again()))
        },
    };
    cuts.end_the_same().await;
}
