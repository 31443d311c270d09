//! Plans as people read them, and what must hold for every plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::removals::cluster_facts;
use crate::support::{bare_facts, manifest, spec};
use slipway_api::{
    Check, ClusterSpec, Cni, Facts, Failure, HostState, LocalText, NodeFacts, Phase, Plan,
    RuntimeFacts, Step, StepId,
};
use slipway_planner::{PlanError, Scope, plan_cluster};

pub(crate) fn page(plan: &Plan) -> String {
    let line = |step: &slipway_api::PlannedStep| {
        format!(
            "{:<18} {:<5} {}\n",
            step.phase,
            step.host,
            step.step.describe()
        )
    };
    plan.steps.iter().map(line).collect()
}

fn whole_plan() -> Plan {
    let spec = spec();
    plan_cluster(
        &spec,
        &bare_facts(&spec),
        &manifest(&spec.kubernetes_version),
        &Scope::All,
    )
    .expect("everything is there")
}

#[test]
fn a_new_cluster_is_planned_in_kubeadm_s_phases() {
    insta::assert_snapshot!(page(&whole_plan()));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let bytes = |plan: &Plan| serde_json::to_vec(plan).expect("plans have only string keys");
    assert_eq!(bytes(&whole_plan()), bytes(&whole_plan()));
}

#[test]
fn every_step_needs_only_steps_before_it() {
    let mut before = BTreeSet::new();
    for step in whole_plan().steps {
        for need in step.needs.iter().chain(&step.reruns_after) {
            assert!(
                before.contains(need),
                "{} needs {need}, which comes later",
                step.id
            );
        }
        assert!(before.insert(step.id.clone()), "{} is there twice", step.id);
    }
}

#[test]
fn nothing_is_made_on_a_host_before_it_is_marked_as_the_cluster_s() {
    let steps = whole_plan().steps;
    let marker = "write /var/lib/slipway/cluster";
    // Hosts as they are marked, then whatever comes after a mark of its own host.
    let mut after = BTreeSet::new();
    let mut early = Vec::new();
    for step in &steps {
        let is_marker = step.step.describe() == marker;
        let own_host =
            |need: &&slipway_api::StepId| need.as_str().starts_with(&format!("{}/", step.host));
        let is_after = step
            .needs
            .iter()
            .filter(own_host)
            .any(|need| after.contains(need));
        let text = step.step.describe();
        // What a host was like before is remembered first, and waits ask the API.
        let is_free = step.phase == Phase::NodeReady
            || text.contains("remember")
            || text.contains("/var/lib/slipway/before");
        if is_marker || is_after {
            after.insert(step.id.clone());
        } else if !is_free {
            early.push(step.id.to_string());
        }
    }
    assert_eq!(early, [""; 0]);
}

#[test]
fn a_plan_without_anything_left_is_empty() {
    let plan = whole_plan();
    let checks = plan
        .steps
        .iter()
        .map(|step| (step.id.clone(), Check::Satisfied))
        .collect();
    assert!(plan.without_satisfied(&checks).is_empty());
}

#[test]
fn a_changed_kubelet_configuration_restarts_the_kubelet_and_nothing_else() {
    let plan = whole_plan();
    let changed = "w-1/kubelet-start/write /var/lib/kubelet/config.yaml";
    let checks: BTreeMap<_, _> = plan
        .steps
        .iter()
        .map(|step| {
            let check = if step.id.as_str() == changed {
                Check::Needed {
                    because: "its content differs".to_owned(),
                }
            } else {
                Check::Satisfied
            };
            (step.id.clone(), check)
        })
        .collect();
    let left = plan.without_satisfied(&checks);
    let steps: Vec<_> = left
        .steps
        .iter()
        .map(|step| (step.step.describe(), step.because.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            (
                "write /var/lib/kubelet/config.yaml".to_owned(),
                "its content differs"
            ),
            (
                "start kubelet.service".to_owned(),
                "after: write /var/lib/kubelet/config.yaml"
            ),
            (
                "wait until the kubelet is healthy".to_owned(),
                "after: start kubelet.service"
            ),
        ]
    );
}

#[test]
fn a_plan_holds_no_private_key() {
    let text = serde_json::to_string(&whole_plan()).expect("plans have only string keys");
    assert!(!text.contains("PRIVATE KEY"));
}

#[test]
fn one_more_worker_touches_no_other_worker() {
    let spec = spec();
    let scope = Scope::Hosts(BTreeSet::from(["w-2".parse().unwrap()]));
    let plan = plan_cluster(
        &spec,
        &bare_facts(&spec),
        &manifest(&spec.kubernetes_version),
        &scope,
    )
    .unwrap();
    assert!(plan.steps.iter().all(|step| step.host.as_str() != "w-1"));
}

#[test]
fn joining_hosts_refreshes_the_file_that_the_cluster_keeps() {
    let spec = spec();
    let scope = Scope::Hosts(BTreeSet::from(["w-2".parse().unwrap()]));
    let manifest = manifest(&spec.kubernetes_version);
    let plan = plan_cluster(&spec, &bare_facts(&spec), &manifest, &scope).unwrap();
    let of_whole = whole_plan();
    let id = "cp-1/upload-config/apply slipway-cluster";
    let find = |plan: &Plan| {
        let mut steps = plan.steps.iter();
        steps.find(|step| step.id.as_str() == id).cloned().unwrap()
    };
    assert_eq!(find(&plan).step, find(&of_whole).step);
    assert!(find(&plan).needs.is_empty());
}

/// Makes `host` unreachable.
pub(crate) fn lose(facts: &mut Facts, host: &str) {
    let failure = Failure::because(format!("{host}: no route"));
    let state = HostState::Unreached { failure };
    facts.hosts.insert(host.parse().unwrap(), state);
}

pub(crate) fn left_out(plan: &Plan) -> Vec<&str> {
    plan.left_out.iter().map(|it| it.host.as_str()).collect()
}

/// Returns every step that is done before the one at `index` can begin.
pub(crate) fn before(plan: &Plan, index: usize) -> BTreeSet<usize> {
    let position = |id: &StepId| {
        plan.steps
            .iter()
            .position(|step| step.id == *id)
            .expect("plans are closed")
    };
    let mut found = BTreeSet::new();
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        let needs = plan.steps[index].needs.iter().map(position);
        open.extend(needs.filter(|need| found.insert(*need)));
    }
    found
}

/// Returns where steps of a kind are in the plan.
pub(crate) fn positions(plan: &Plan, is_it: impl Fn(&Step) -> bool) -> Vec<usize> {
    let steps = plan.steps.iter().enumerate();
    steps
        .filter(|(_, it)| is_it(&it.step))
        .map(|(index, _)| index)
        .collect()
}

/// Returns whether every step needs only steps of the plan.
pub(crate) fn is_closed(plan: &Plan) -> bool {
    let ids: BTreeSet<_> = plan.steps.iter().map(|step| &step.id).collect();
    let mut needs = plan.steps.iter().flat_map(|step| &step.needs);
    needs.all(|id| ids.contains(id))
}

#[test]
fn a_worker_that_is_out_of_reach_is_left_out_and_the_others_are_planned() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    lose(&mut facts, "w-1");
    let manifest = manifest(&spec.kubernetes_version);
    let plan = plan_cluster(&spec, &facts, &manifest, &Scope::All).unwrap();
    assert_eq!(left_out(&plan), ["w-1"]);
    assert!(is_closed(&plan));
    let whole = whole_plan();
    let others = |plan: &Plan| {
        let steps = plan.steps.iter().filter(|step| {
            step.host.as_str() != "w-1" && !step.step.describe().contains("node w-1")
        });
        steps.map(|step| step.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(others(&plan), others(&whole));
    assert_eq!(plan.steps.len(), others(&plan).len());
    let scope = Scope::Hosts(BTreeSet::from(["w-2".parse().unwrap()]));
    let other = plan_cluster(&spec, &facts, &manifest, &scope).unwrap();
    assert!(left_out(&other).is_empty(), "nobody asked for w-1");
}

#[test]
fn no_plan_is_made_without_the_control_plane_host() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    lose(&mut facts, "cp-1");
    let manifest = manifest(&spec.kubernetes_version);
    let error = plan_cluster(&spec, &facts, &manifest, &Scope::All).unwrap_err();
    assert!(
        matches!(&error, PlanError::HostNotReached { host } if host.as_str() == "cp-1"),
        "{error}"
    );
}

#[test]
fn nobody_waits_for_addons_while_a_node_is_down() {
    let spec = spec();
    let mut facts = cluster_facts();
    let manifest = manifest(&spec.kubernetes_version);
    let waits = |facts: &Facts| {
        let plan = plan_cluster(&spec, facts, &manifest, &Scope::All).unwrap();
        let steps = plan.steps.iter().map(|step| step.step.describe());
        steps.filter(|text| text.contains("is available")).count()
    };
    lose(&mut facts, "w-1");
    assert!(waits(&facts) > 0, "w-1 is no node yet");
    if let Some(cluster) = &mut facts.cluster {
        cluster.nodes.push(NodeFacts {
            name: "w-1".to_owned(),
            ready: false,
            roles: Vec::new(),
            kubelet_version: "v1.36.3".to_owned(),
            internal_ip: None,
            unschedulable: false,
            pod_subnet: None,
        });
    }
    assert_eq!(waits(&facts), 0);
}

/// Returns a containerd that was there before Slipway.
pub(crate) fn somebody_s_containerd() -> RuntimeFacts {
    RuntimeFacts {
        socket: "/run/containerd/containerd.sock".to_owned(),
        name: "containerd".to_owned(),
        version: "1.7.24".to_owned(),
        cgroup_driver: Some("systemd".to_owned()),
        ready: true,
        is_ours: false,
    }
}

#[test]
fn an_adopted_runtime_is_left_alone() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.runtime = Some(somebody_s_containerd());
    }
    let plan = plan_cluster(
        &spec,
        &facts,
        &manifest(&spec.kubernetes_version),
        &Scope::All,
    )
    .unwrap();
    let on_w1 = plan.steps.iter().filter(|step| step.host.as_str() == "w-1");
    assert!(on_w1.clone().count() > 10);
    for step in on_w1 {
        let text = step.step.describe();
        assert!(
            !text.contains("containerd") && !text.contains("runc"),
            "{text}"
        );
    }
}

#[test]
fn a_user_s_own_network_is_applied_in_the_file_s_order_in_flannel_s_place() {
    let mut spec = spec();
    let local = |path: &str| LocalText {
        path: path.into(),
        text: Some("{apiVersion: v1, kind: Namespace, metadata: {name: net}}\n".to_owned()),
    };
    spec.networking.cni = Cni::Manifests(vec![local("crds.yaml"), local("net")]);
    let plan = |spec: &ClusterSpec| {
        plan_cluster(
            spec,
            &bare_facts(spec),
            &manifest(&spec.kubernetes_version),
            &Scope::All,
        )
    };
    let found = plan(&spec).expect("everything is there");
    let step = |text: &str| {
        let found = found.steps.iter().find(|step| step.step.describe() == text);
        found.unwrap_or_else(|| panic!("no `{text}` in {}", page(&plan(&spec).unwrap())))
    };
    let first = step("apply network manifests crds.yaml");
    let second = step("apply network manifests net");
    assert_eq!(second.needs, std::slice::from_ref(&first.id));
    let ready = step("wait until node cp-1 is Ready");
    assert!(ready.needs.contains(&second.id), "{:?}", ready.needs);
    let made = page(&found);
    let made: Vec<&str> = made
        .lines()
        .filter(|line| !line.starts_with("cleanup-node") && line.contains("flannel"))
        .collect();
    assert!(made.is_empty(), "{made:?}");

    spec.networking.cni = Cni::Manifests(vec![LocalText {
        path: "never-read.yaml".into(),
        text: None,
    }]);
    let error = plan(&spec).unwrap_err();
    assert!(matches!(error, PlanError::NotRead(_)), "{error}");
}

#[test]
fn a_bundle_for_another_version_is_named() {
    let spec = spec();
    let other = manifest(&"1.35.4".parse().unwrap());
    let error = plan_cluster(&spec, &bare_facts(&spec), &other, &Scope::All).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kubelet v1.36.3 for amd64 is not in the bundle"
    );
}
