//! Upgrades on fake hosts: cut off anywhere they go on, and what fails is put back.

use slipway_api::{
    ClusterSpec, Entry, Event, Facts, Failure, HostName, HostState, KubeletFacts, NodeFacts,
    Outcome, Phase, Plan, Step,
};
use slipway_engine::{RunRequest, run_plan};
use slipway_hosts::{FakeHost, Fault};
use slipway_planner::{UpgradeOptions, plan_upgrade};

use crate::cuts::Cuts;
use crate::fakes::{NamedBlobs, answer, fleet, run_plan_of, run_plan_telling};
use crate::support::{bare_facts, manifest, spec_of};

fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n\
        \x20   - { name: w-2, address: 192.0.2.22, role: worker }\n",
    )
}

/// Returns a cluster that runs the minor before.
fn seen() -> Facts {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    for (name, state) in &mut facts.hosts {
        let HostState::Reached(host) = state else {
            continue;
        };
        let existing = &mut host.existing;
        existing.slipway_cluster = Some("harbour".to_owned());
        existing.kubelet_conf = true;
        if name.as_str() == "cp-1" {
            existing.admin_conf = true;
            existing.etcd_data = true;
            existing.manifests = vec!["etcd.yaml".to_owned(), "kube-apiserver.yaml".to_owned()];
        }
        host.kubelet = Some(KubeletFacts {
            path: "/usr/local/bin/kubelet".to_owned(),
            version: Some("v1.35.4".to_owned()),
            cgroup_driver: None,
            active: true,
        });
    }
    let node = |name: &HostName| NodeFacts {
        name: name.to_string(),
        ready: true,
        roles: Vec::new(),
        kubelet_version: "v1.35.4".to_owned(),
        internal_ip: None,
        unschedulable: false,
        pod_subnet: None,
    };
    facts.cluster = Some(slipway_api::ClusterFacts {
        api_server_version: "v1.35.4".to_owned(),
        nodes: spec.hosts.iter().map(|host| node(&host.name)).collect(),
        unhealthy: Vec::new(),
        configuration: None,
    });
    facts.cluster_from = Some("cp-1".parse().expect("a name"));
    facts
}

fn plan() -> Plan {
    let spec = spec();
    let manifest = manifest(&spec.kubernetes_version);
    plan_upgrade(&spec, &seen(), &manifest, &UpgradeOptions::default()).expect("a plan")
}

fn hosts() -> Vec<FakeHost> {
    let host = |name| FakeHost::new(name).with_script(|request, _| answer(request).map(Ok));
    spec().hosts.into_iter().map(|it| host(it.name)).collect()
}

fn has(host: &FakeHost, wanted: impl Fn(&Step) -> bool) -> bool {
    host.applied_steps().iter().any(wanted)
}

fn is_kubelet(step: &Step) -> bool {
    matches!(step, Step::InstallBlob(step) if step.name == "kubelet")
}

/// What must hold wherever a run ends.
fn assert_order(hosts: &[FakeHost], what: &str) {
    let server =
        |step: &Step| matches!(step, Step::EnsureStaticPod(pod) if pod.name == "kube-apiserver");
    let is_snapshot = |step: &Step| matches!(step, Step::SnapshotEtcd(_));
    let is_kept = |step: &Step| matches!(step, Step::KeepNode(_));
    let is_manifest =
        |step: &Step| matches!(step, Step::WriteFile(file) if file.path.contains("/manifests/"));
    let cp = &hosts[0];
    assert!(
        has(cp, is_snapshot) || !has(cp, is_manifest),
        "{what}: etcd changed without a snapshot"
    );
    for (index, host) in hosts.iter().enumerate() {
        assert!(
            has(host, is_kept) || !has(host, is_kubelet),
            "{what}: host {index} changed and nothing was kept"
        );
        assert!(
            has(cp, server) || !has(host, is_kubelet),
            "{what}: the kubelet of host {index} is newer than the API server"
        );
    }
    let drained = |node: &str| {
        let drain = format!("cordon and drain node {node}");
        has(cp, |step| step.describe() == drain)
    };
    let back = |node: &str| {
        let uncordon = format!("uncordon node {node}");
        has(cp, |step| step.describe() == uncordon)
    };
    assert!(
        back("w-1") || !drained("w-2"),
        "{what}: two workers are away"
    );
}

/// What a run does only when something failed: the waits and files of a way back.
fn is_extra(step: &str) -> bool {
    step == "put this host's files back" || step.ends_with(" is Ready")
}

#[tokio::test]
async fn an_upgrade_that_is_cut_off_anywhere_goes_on_and_ends_the_same() {
    let cuts = Cuts {
        seen: seen(),
        plan: plan(),
        hosts,
        assert_order,
        again: |_| None,
        is_extra,
    };
    cuts.end_the_same().await;
}

#[tokio::test]
async fn a_step_that_fails_puts_its_node_back_and_no_other_begins() {
    let (seen, plan) = (seen(), plan());
    let whole = hosts();
    run_plan_of(&whole, &seen, &plan).await.unwrap();
    let mut put_back = 0;
    for victim in 0..whole.len() {
        for nth in 1..whole[victim].requests().len() {
            let hosts = hosts();
            hosts[victim].fail_at(nth, Fault::Fail(Failure::because("no")));
            let mut entries: Vec<Entry> = Vec::new();
            let mut note = |entry: &Entry| entries.push(entry.clone());
            let run = run_plan_telling(&hosts, &seen, &plan, &mut note).await;
            let Ok(state) = run else { continue };
            if state.outcome == Some(Outcome::Succeeded) {
                continue;
            }
            let failed: Vec<_> = state.failures().map(|(step, _)| step.id.clone()).collect();
            let part = plan
                .ways_back
                .iter()
                .find(|way| way.guards.iter().any(|id| failed.contains(id)));
            let begun: Vec<&HostName> = entries
                .iter()
                .filter_map(|entry| {
                    if let Event::WayBackStarted { host, .. } = &entry.event {
                        return Some(host);
                    }
                    None
                })
                .collect();
            let what = format!("host {victim} at {nth}: {failed:?}");
            match part {
                None => assert!(begun.is_empty(), "{what}"),
                Some(way) => {
                    put_back += 1;
                    assert_eq!(begun, [&way.host], "{what}");
                    for step in &way.steps {
                        let host = hosts
                            .iter()
                            .find(|it| *slipway_hosts::Host::name(*it) == step.host);
                        assert!(
                            has(host.unwrap(), |applied| *applied == step.step),
                            "{what}: {} was not done",
                            step.id
                        );
                    }
                }
            }
            assert_order(&hosts, &what);
        }
    }
    assert!(put_back > 30, "{put_back}");
}

#[tokio::test]
async fn a_run_that_is_to_stop_finishes_the_node_it_has_begun() {
    let (seen, plan) = (seen(), plan());
    let hosts = hosts();
    let fleet = fleet(&hosts);
    let _ = seen;
    let blobs = NamedBlobs::new();
    let (stop_sender, stop) = tokio::sync::watch::channel(false);
    let request = RunRequest {
        run: slipway_api::RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
        command: "upgrade apply".to_owned(),
        plan: &plan,
        blobs: &blobs,
        stop,
    };
    let state = run_plan(&fleet, request, &mut |entry| {
        let Event::StepStarted { step } = &entry.event else {
            return;
        };
        if step.as_str().ends_with("cordon and drain node w-1") {
            let _ = stop_sender.send(true);
        }
    })
    .await
    .unwrap();
    assert_eq!(state.outcome, Some(Outcome::Interrupted));
    let cp = &hosts[0];
    assert!(has(cp, |step| step.describe() == "uncordon node w-1"));
    assert!(has(&hosts[1], is_kubelet));
    assert!(!has(cp, |step| step.describe() == "cordon and drain node w-2"));
    assert!(!has(&hosts[2], is_kubelet));
    let is_back = |step: &&slipway_api::StepState| step.summary.phase == Phase::PutBack;
    assert_eq!(state.steps.iter().filter(is_back).count(), 0);
}
