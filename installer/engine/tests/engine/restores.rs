//! etcd is made anew on all control-plane hosts, cut off anywhere: no data is
//! touched while any member may run, and the same command again ends the same.

use slipway_api::{Blob, ClusterSpec, Facts, HostState, Plan, Sha256Digest, Step};
use slipway_hosts::FakeHost;
use slipway_planner::{Restore, plan_restore};

use crate::cuts::Cuts;
use crate::fakes::answer;
use crate::support::{bare_facts, manifest, spec_of};

fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n",
    )
}

fn seen() -> Facts {
    let mut facts = bare_facts(&spec());
    for host in facts.hosts.values_mut() {
        if let HostState::Reached(host) = host {
            host.existing.kubelet_conf = true;
        }
    }
    facts
}

fn plan() -> Plan {
    let spec = spec();
    let restore = Restore {
        id: "20261121-101500-0000002a".to_owned(),
        snapshot: Blob {
            sha256: Sha256Digest::of("snapshot"),
            size: 8,
        },
        revision: 4200,
    };
    let manifest = manifest(&spec.kubernetes_version);
    plan_restore(&spec, &seen(), &manifest, &restore).expect("a plan")
}

fn hosts() -> Vec<FakeHost> {
    let host = |name| FakeHost::new(name).with_script(|request, _| answer(request).map(Ok));
    spec().hosts.into_iter().map(|it| host(it.name)).collect()
}

/// What must hold wherever a run ends.
fn assert_order(hosts: &[FakeHost], what: &str) {
    let has = |host: &FakeHost, wanted: fn(&Step) -> bool| host.applied_steps().iter().any(wanted);
    let (members, workers) = hosts.split_at(2);
    let all = |wanted| members.iter().all(|host| has(host, wanted));
    let any = |wanted| members.iter().any(|host| has(host, wanted));
    let is_held = |step: &Step| matches!(step, Step::HoldStaticPods(_));
    let is_restored = |step: &Step| matches!(step, Step::RestoreEtcd(_));
    let is_started = |step: &Step| matches!(step, Step::ReleaseStaticPods(_));
    let is_registered = |step: &Step| matches!(step, Step::EnsureUnit(_));
    assert!(
        all(is_held) || !any(is_restored),
        "{what}: data was touched beside a member"
    );
    assert!(
        all(is_restored) || !any(is_started),
        "{what}: a member started with old data around"
    );
    assert!(
        all(is_started) || !has(&workers[0], is_registered),
        "{what}: registered too early"
    );
}

#[tokio::test]
async fn a_restore_that_is_cut_off_anywhere_mixes_no_data_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(),
        plan: plan(),
        hosts,
        assert_order,
        again: |_| None,
        is_extra: |_| false,
    };
    cuts.end_the_same().await;
}
