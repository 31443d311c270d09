//! This machine alone: a cluster without a file.

use std::collections::{BTreeMap, BTreeSet};

use slipway_api::{
    Check, ClusterSpec, DiscoveredCluster, ExistingCluster, Facts, HostFacts, HostState,
    KubernetesVersion, Phase, Plan, PlannedStep, Step, StepId, paths,
};
use slipway_planner::{
    JoiningNode, PlanError, Scope, SkippedPhases, joining_spec, plan_here, plan_local_join,
    preflight, suit_machine,
};

use crate::support::{bare_facts, bare_host, discovered, joining, manifest, spec};

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

/// Returns what the plan writes to `path`.
fn content<'a>(plan: &'a Plan, path: &str) -> &'a str {
    let found = plan.steps.iter().find_map(|it| {
        let Step::WriteFile(file) = &it.step else {
            return None;
        };
        (file.path == path).then_some(file.content.as_str())
    });
    found.unwrap_or_else(|| panic!("nothing writes {path}"))
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
    let marks = plan.steps.iter().find_map(|it| {
        let Step::MarkNode(marks) = &it.step else {
            return None;
        };
        Some(marks)
    });
    assert_eq!(marks.unwrap().taints, []);
    assert!(!content(&plan, paths::KUBELET_FLAGS).contains("register-with-taints"));
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

fn bare() -> HostFacts {
    bare_host("w-1", joining().address)
}

fn plan_join(discovered: &DiscoveredCluster, facts: &HostFacts) -> Result<Plan, PlanError> {
    plan_local_join(
        discovered,
        &joining(),
        facts,
        &manifest(&KubernetesVersion::new(36, 3)),
    )
}

#[test]
fn a_machine_joins_by_itself_with_nothing_but_its_own_steps() {
    let plan = plan_join(&discovered(), &bare()).unwrap();
    let page: String = plan
        .steps
        .iter()
        .map(|it| format!("{:<22} {:<4} {}\n", it.phase, it.host, it.step.describe()))
        .collect();
    insta::assert_snapshot!(page);
    assert!(plan.steps.iter().all(|it| it.step.signer().is_none()));
    let mut before = BTreeSet::new();
    for step in &plan.steps {
        assert!(step.needs.iter().all(|need| before.contains(need)));
        before.insert(&step.id);
    }
}

#[test]
fn a_joining_kubelet_is_configured_as_the_cluster_says() {
    let plan = plan_join(&discovered(), &bare()).unwrap();
    let config = content(&plan, paths::KUBELET_CONFIG);
    for line in ["maxPods: 42", "10.97.0.10", "clusterDomain: harbour.local"] {
        assert!(config.contains(line), "{config}");
    }
    assert!(content(&plan, paths::KUBELET_FLAGS).contains("--node-ip=192.0.2.21"));
    assert_eq!(content(&plan, paths::CLUSTER_CA), "the CA's certificate\n");
    assert_eq!(content(&plan, paths::CLUSTER_MARKER), "harbour\n");
}

#[test]
fn the_file_with_the_token_goes_as_soon_as_it_is_used() {
    let plan = plan_join(&discovered(), &bare()).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert!(text.contains("abcdef") && !text.contains("abcdef."));
    let id = |describes: &str| -> StepId {
        let found = plan.steps.iter().find(|it| it.step.describe() == describes);
        found
            .unwrap_or_else(|| panic!("no step {describes}"))
            .id
            .clone()
    };
    let written = id("write bootstrap-kubelet.conf with token abcdef");
    let deleted = id("delete /etc/kubernetes/bootstrap-kubelet.conf");
    // Before the run the file is not there: deleting it seems done already.
    let checks = BTreeMap::from([(deleted.clone(), Check::Satisfied)]);
    let left = plan.clone().without_satisfied(&checks);
    assert!(left.steps.iter().any(|it| it.id == deleted));
    // A node that has its certificate needs neither.
    let checks = plan
        .steps
        .iter()
        .map(|it| (it.id.clone(), Check::Satisfied));
    assert!(plan.clone().without_satisfied(&checks.collect()).is_empty());
    let position = |id: &StepId| plan.steps.iter().position(|it| it.id == *id);
    assert!(position(&written) < position(&deleted));
}

#[test]
fn only_what_every_cluster_runs_is_brought_for_a_cluster_of_kubeadm() {
    let mut foreign = discovered();
    foreign.is_ours = false;
    let plan = plan_join(&foreign, &bare()).unwrap();
    let images: Vec<String> = plan
        .steps
        .iter()
        .filter(|it| it.phase == Phase::Images)
        .map(|it| it.step.describe())
        .collect();
    assert_eq!(
        images,
        [
            "import image registry.k8s.io/pause:3.10.2",
            "import image registry.k8s.io/kube-proxy:v1.36.3",
        ]
    );
}

#[test]
fn a_machine_that_is_a_node_elsewhere_does_not_join() {
    let with = |existing: ExistingCluster| HostFacts { existing, ..bare() };
    let control_plane = with(ExistingCluster {
        admin_conf: true,
        ..ExistingCluster::default()
    });
    let error = plan_join(&discovered(), &control_plane).unwrap_err();
    assert!(matches!(error, PlanError::IsControlPlane { .. }), "{error}");

    let elsewhere = with(ExistingCluster {
        slipway_cluster: Some("harbour".to_owned()),
        ca_pin: Some("sha256:bb".to_owned()),
        ..ExistingCluster::default()
    });
    let error = plan_join(&discovered(), &elsewhere).unwrap_err();
    assert!(matches!(error, PlanError::OtherAuthority { .. }), "{error}");

    let mut taken = discovered();
    taken.node_is_ready = true;
    let error = plan_join(&taken, &bare()).unwrap_err();
    assert!(matches!(error, PlanError::NodeExists { .. }), "{error}");
    // The Ready node of that name may be this very machine, joined before.
    let same = with(ExistingCluster {
        slipway_cluster: Some("harbour".to_owned()),
        ca_pin: Some("sha256:aa".to_owned()),
        node_name: Some("w-1".to_owned()),
        kubelet_conf: true,
        ..ExistingCluster::default()
    });
    assert!(plan_join(&taken, &same).is_ok());
}

#[test]
fn a_kubelet_is_never_newer_than_its_api_server() {
    for (api_server, is_fine) in [
        ("v1.36.0", true),
        ("v1.39.1", true),
        ("v1.40.0", false),
        ("v1.35.4", false),
    ] {
        let mut other = discovered();
        other.api_server_version = api_server.to_owned();
        let planned = plan_join(&other, &bare());
        assert_eq!(planned.is_ok(), is_fine, "{api_server}: {planned:?}");
    }
}

#[test]
fn preflight_looks_at_a_joining_machine_as_at_any_worker() {
    let mut node = joining();
    let check = |node: &JoiningNode, facts: HostFacts| {
        let spec = joining_spec(&discovered(), node);
        let facts = Facts {
            hosts: BTreeMap::from([(node.name.clone(), HostState::Reached(Box::new(facts)))]),
            ..Facts::default()
        };
        let scope = Scope::Hosts(BTreeSet::from([node.name.clone()]));
        let found = preflight::check(&spec, &facts, None, &scope);
        found.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(check(&node, bare()), [""; 0]);
    let mut taken = bare();
    taken.existing.kubelet_conf = true;
    let found = check(&node, taken);
    assert!(found.contains(&"FileAvailable--etc-kubernetes-kubelet.conf".to_owned()));
    // A machine may be called like what stands for the control plane.
    node.name = "api-server".parse().unwrap();
    assert_eq!(check(&node, bare_host("api-server", node.address)), [""; 0]);
}

#[test]
fn a_machine_that_joins_brings_a_balancer_where_nodes_have_one() {
    let planned = |is_balanced| {
        let mut cluster = discovered();
        cluster.is_balanced = is_balanced;
        plan_join(&cluster, &bare()).unwrap()
    };
    let unit = "start slipway-apiserver-proxy.service";
    let is_balancer = |step: &PlannedStep| step.step.describe() == unit;
    assert!(!planned(false).steps.iter().any(is_balancer));
    let plan = planned(true);
    let balancer = plan.steps.iter().find(|step| is_balancer(step)).unwrap();
    let kubelet = plan
        .steps
        .iter()
        .find(|it| it.step.describe() == "start kubelet.service");
    assert!(kubelet.unwrap().needs.contains(&balancer.id));
    let has_seed = |it: &PlannedStep| {
        matches!(&it.step, Step::WriteFile(file) if file.path == paths::APISERVER_PROXY_SEEDS
            && file.content.contains("192.0.2.11:6443"))
    };
    assert!(plan.steps.iter().any(has_seed));
}
