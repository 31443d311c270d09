//! The restore of a whole cluster's etcd, as a plan.

use std::collections::BTreeSet;

use slipway_api::{
    Blob, ClusterFile, ClusterSpec, Failure, HostState, Phase, Plan, Sha256Digest, Step,
};
use slipway_planner::{PlanError, Restore, plan_restore};

use crate::plans::{before, positions};
use crate::support::{bare_facts, manifest};

/// Returns a cluster of three control-plane hosts and a worker.
fn spec() -> ClusterSpec {
    let text = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: { name: harbour }\n\
        spec:\n  kubernetesVersion: 1.36.3\n  hosts:\n\
        \x20 - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20 - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
        \x20 - { name: cp-3, address: 192.0.2.13, role: control-plane }\n\
        \x20 - { name: w-1, address: 192.0.2.21, role: worker }\n";
    ClusterFile::parse(text, "harbour.yaml").unwrap().spec
}

fn restore() -> Restore {
    Restore {
        id: "20261121-101500-0000002a".to_owned(),
        snapshot: Blob {
            sha256: Sha256Digest::of("snapshot"),
            size: 8,
        },
        revision: 4200,
    }
}

fn planned() -> Plan {
    let spec = spec();
    let manifest = manifest(&spec.kubernetes_version);
    plan_restore(&spec, &bare_facts(&spec), &manifest, &restore()).unwrap()
}

#[test]
fn no_data_is_touched_before_every_member_has_stopped() {
    let plan = planned();
    let holds = positions(&plan, |step| matches!(step, Step::HoldStaticPods(_)));
    let restores = positions(&plan, |step| matches!(step, Step::RestoreEtcd(_)));
    assert_eq!((holds.len(), restores.len()), (3, 3));
    for index in restores {
        assert!(holds.iter().all(|hold| before(&plan, index).contains(hold)));
    }
}

#[test]
fn no_member_starts_before_all_data_is_in_place() {
    let plan = planned();
    let restores = positions(&plan, |step| matches!(step, Step::RestoreEtcd(_)));
    let releases = positions(&plan, |step| matches!(step, Step::ReleaseStaticPods(_)));
    assert_eq!(releases.len(), 3);
    for index in releases {
        assert!(restores.iter().all(|it| before(&plan, index).contains(it)));
    }
    assert_eq!(plan.steps.last().unwrap().phase, Phase::WaitControlPlane);
}

#[test]
fn what_was_running_when_it_was_looked_at_is_started_again_all_the_same() {
    let plan = planned();
    // Before the run everything runs: the checks of the last steps are content.
    let content = |step: &Step| matches!(step, Step::ReleaseStaticPods(_) | Step::WaitFor(_));
    let checks = plan.steps.iter().filter(|it| content(&it.step));
    let checks = checks.map(|it| (it.id.clone(), slipway_api::Check::Satisfied));
    let checks = checks.collect();
    let left = plan.clone().without_satisfied(&checks);
    assert_eq!(left.steps.len(), plan.steps.len());
}

#[test]
fn all_members_agree_on_who_they_are() {
    let plan = planned();
    let mut clusters = BTreeSet::new();
    for step in &plan.steps {
        if let Step::RestoreEtcd(step) = &step.step {
            clusters.insert(step.initial_cluster.join(","));
            let own = format!("{}={}", step.member, step.peer_url);
            assert!(step.initial_cluster.contains(&own));
        }
    }
    assert_eq!(
        clusters.into_iter().collect::<Vec<_>>(),
        ["cp-1=https://192.0.2.11:2380,cp-2=https://192.0.2.12:2380,cp-3=https://192.0.2.13:2380"]
    );
}

#[test]
fn a_member_that_cannot_be_reached_would_go_on_with_the_old_data() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    let lost = HostState::Unreached {
        failure: Failure::because("no route"),
    };
    facts.hosts.insert("cp-2".parse().unwrap(), lost);
    let manifest = manifest(&spec.kubernetes_version);
    let refused = plan_restore(&spec, &facts, &manifest, &restore());
    assert!(
        matches!(&refused, Err(PlanError::HostNotReached { host }) if host.as_str() == "cp-2"),
        "{refused:?}"
    );
}

#[test]
fn kubelets_register_anew_once_every_api_server_answers() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    for name in ["cp-1", "w-1"] {
        if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&name.parse().unwrap()) {
            host.existing.kubelet_conf = true;
        }
    }
    let manifest = manifest(&spec.kubernetes_version);
    let plan = plan_restore(&spec, &facts, &manifest, &restore()).unwrap();
    let restarts = positions(&plan, |step| matches!(step, Step::EnsureUnit(_)));
    let hosts: Vec<&str> = restarts
        .iter()
        .map(|index| plan.steps[*index].host.as_str())
        .collect();
    assert_eq!(hosts, ["cp-1", "w-1"]);
    let waits = positions(&plan, |step| matches!(step, Step::WaitFor(_)));
    for index in restarts {
        assert!(waits.iter().all(|wait| before(&plan, index).contains(wait)));
        assert!(
            !plan.steps[index].reruns_after.is_empty(),
            "it runs already"
        );
    }
    // A worker that is away is named; it does not hold the restore up.
    let failure = Failure::because("no route");
    facts
        .hosts
        .insert("w-1".parse().unwrap(), HostState::Unreached { failure });
    let plan = plan_restore(&spec, &facts, &manifest, &restore()).unwrap();
    assert_eq!(plan.left_out.len(), 1);
}
