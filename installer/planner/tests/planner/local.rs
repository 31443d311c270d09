//! This machine alone: a cluster without a file.

use slipway_api::{ClusterSpec, Phase, Plan, Step, paths};
use slipway_planner::{SkippedPhases, plan_here, suit_machine};

use crate::support::{bare_facts, bare_host, manifest, spec};

/// Returns a cluster of one control-plane host that takes workloads.
fn one_node() -> ClusterSpec {
    let mut spec = spec();
    spec.hosts.truncate(1);
    spec.hosts[0].taints = Some(Vec::new());
    spec
}

fn plan() -> Plan {
    let spec = one_node();
    let manifest = manifest(&spec.kubernetes_version);
    plan_here(&spec, &bare_facts(&spec), &manifest, &spec.hosts[0].name)
        .expect("everything is there")
}

fn described(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|it| it.step.describe()).collect()
}

#[test]
fn a_cluster_without_a_file_keeps_its_settings_before_anything_is_made_from_them() {
    let plan = plan();
    let steps = described(&plan);
    assert_eq!(
        steps[..4],
        [
            format!("delete {}", paths::BEFORE_DIR),
            "remember what is there before Slipway".to_owned(),
            format!("write {}", paths::CLUSTER_MARKER),
            format!("write {}", paths::CLUSTER_FILE),
        ]
    );
    let (marker, copy) = (&plan.steps[2].id, &plan.steps[3]);
    let starts_early = |step: &&slipway_api::PlannedStep| {
        step.id != copy.id && step.needs.iter().all(|need| need == marker)
    };
    let early: Vec<_> = plan.steps.iter().skip(3).filter(starts_early).collect();
    assert!(early.is_empty(), "{early:#?}");
    let Step::WriteFile(file) = &copy.step else {
        panic!("{copy:?}");
    };
    let read = slipway_api::ClusterFile::parse(&file.content, "copy").unwrap();
    assert_eq!(read.spec, one_node());
    assert_eq!(file.mode, 0o600);
}

#[test]
fn a_node_alone_has_no_taint_that_keeps_pods_away() {
    let plan = plan();
    let marks = plan.steps.iter().find_map(|it| match &it.step {
        Step::MarkNode(marks) => Some(marks),
        _ => None,
    });
    assert_eq!(marks.unwrap().taints, []);
    let flags = plan.steps.iter().find_map(|it| match &it.step {
        Step::WriteFile(file) if file.path == paths::KUBELET_FLAGS => Some(&file.content),
        _ => None,
    });
    assert!(!flags.unwrap().contains("register-with-taints"));
}

#[test]
fn a_machine_alone_gets_the_settings_without_which_it_does_not_start() {
    let mut spec = one_node();
    let ordinary = bare_host("cp-1", spec.hosts[0].node_ip);
    suit_machine(&mut spec, &ordinary);
    assert_eq!(spec, one_node());

    let mut odd = ordinary;
    odd.cgroup_version = 1;
    odd.container = Some("podman".to_owned());
    suit_machine(&mut spec, &odd);
    let kubelet = spec.kubelet_configuration.clone().unwrap();
    assert_eq!(kubelet["failCgroupV1"], false);
    let proxy = spec.kube_proxy_configuration.clone().unwrap();
    assert_eq!(proxy["conntrack"]["maxPerCore"], 0);
    // As a file it means the same.
    let text = slipway_api::print_cluster(&spec);
    assert_eq!(
        slipway_api::ClusterFile::parse(&text, "x").unwrap().spec,
        spec
    );

    let mut told = spec.clone();
    told.kubelet_configuration.as_mut().unwrap()["failCgroupV1"] = true.into();
    let before = told.clone();
    suit_machine(&mut told, &odd);
    assert_eq!(told, before);
}

#[test]
fn skipped_phases_leave_the_plan_and_the_others_keep_their_order() {
    let names = |list: &[&str]| {
        list.iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let skipped = SkippedPhases::parse(&names(&["addon/kube-proxy", "preflight"])).unwrap();
    assert!(skipped.has_preflight());
    let (whole, left) = (plan(), skipped.without(plan()));
    assert_eq!(left.steps.len(), whole.steps.len() - 1);
    assert!(!described(&left).contains(&"apply kube-proxy".to_owned()));
    let known: Vec<_> = left.steps.iter().map(|it| &it.id).collect();
    for step in &left.steps {
        assert!(step.needs.iter().all(|need| known.contains(&need)));
    }

    let skipped = SkippedPhases::parse(&names(&["addon"])).unwrap();
    let left = skipped.without(plan());
    assert!(left.steps.iter().all(|it| it.phase != Phase::Addon));

    let error = SkippedPhases::parse(&names(&["adon"])).unwrap_err();
    assert_eq!(error.to_string(), "there is no phase `adon`");
}
