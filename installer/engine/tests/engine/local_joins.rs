//! A machine joins by itself, cut off anywhere: its token is kept until it is used, and the
//! same command again ends in the same state.

use std::collections::BTreeMap;

use slipway_api::step::{Condition, EnsureUnit, RemovePath, WaitFor};
use slipway_api::{Facts, HostState, Step, paths};
use slipway_hosts::FakeHost;
use slipway_planner::plan_local_join;

use crate::cuts::Cuts;
use crate::fakes::answer;
use crate::support::{bare_host, discovered, joining, manifest};

fn assert_order(hosts: &[FakeHost], what: &str) {
    let steps = hosts[0].applied_steps();
    let has = |wanted: fn(&Step) -> bool| steps.iter().any(wanted);
    let is_given = has(|step| matches!(step, Step::EnsureKubeletBootstrap(_)));
    let is_started = has(
        |step| matches!(step, Step::EnsureUnit(EnsureUnit { unit, .. }) if unit == "kubelet.service"),
    );
    let is_used = has(|step| {
        matches!(
            step,
            Step::WaitFor(WaitFor {
                condition: Condition::KubeletBootstrapped { .. },
                ..
            })
        )
    });
    let is_gone = has(
        |step| matches!(step, Step::RemovePath(RemovePath { path, .. }) if path == paths::BOOTSTRAP_KUBELET_CONF),
    );
    assert!(
        is_given || !is_started,
        "{what}: started with nothing to ask with"
    );
    assert!(is_started || !is_used, "{what}: waited for nobody");
    assert!(
        is_used || !is_gone,
        "{what}: the token went before it was used"
    );
}

#[tokio::test]
async fn a_machine_that_joins_by_itself_ends_the_same_wherever_it_was_cut_off() {
    let node = joining();
    let facts = bare_host("w-1", node.address);
    let cluster = discovered();
    let manifest = manifest(&cluster.kubernetes_version);
    let plan = plan_local_join(&cluster, &node, &facts, &manifest).expect("a plan");
    let cuts = Cuts {
        seen: Facts {
            hosts: BTreeMap::from([(node.name, HostState::Reached(Box::new(facts)))]),
            ..Facts::default()
        },
        plan,
        hosts: || {
            let host = FakeHost::new(joining().name);
            vec![host.with_script(|request, _| answer(request).map(Ok))]
        },
        assert_order,
        again: |_| None,
        is_extra: |_| false,
    };
    cuts.end_the_same().await;
}
