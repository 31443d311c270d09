//! Plans as people read them, and what must hold for every plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{bare_facts, manifest, spec};
use slipway_api::{
    Check, ClusterFacts, ClusterSpec, Cni, Facts, Failure, HostState, LocalText, NodeFacts, Plan,
    Role, RuntimeFacts,
};
use slipway_planner::{PlanError, Removal, Scope, plan_cluster, plan_removal};

fn page(plan: &Plan) -> String {
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
fn lose(facts: &mut Facts, host: &str) {
    let failure = Failure::because(format!("{host}: no route"));
    let state = HostState::Unreached { failure };
    facts.hosts.insert(host.parse().unwrap(), state);
}

fn left_out(plan: &Plan) -> Vec<&str> {
    plan.left_out.iter().map(|it| it.host.as_str()).collect()
}

/// Returns whether every step needs only steps of the plan.
fn is_closed(plan: &Plan) -> bool {
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

#[test]
fn an_adopted_runtime_is_left_alone() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.runtime = Some(RuntimeFacts {
            socket: "/run/containerd/containerd.sock".to_owned(),
            name: "containerd".to_owned(),
            version: "1.7.24".to_owned(),
            cgroup_driver: Some("systemd".to_owned()),
            ready: true,
            is_ours: false,
        });
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
fn a_pod_network_that_is_older_than_the_node_goes_before_the_kubelet_starts() {
    let spec = spec();
    let manifest = manifest(&spec.kubernetes_version);
    let leftover_steps = |facts: &Facts| {
        let plan = plan_cluster(&spec, facts, &manifest, &Scope::All).expect("it can be planned");
        let steps = plan.steps.into_iter();
        steps
            .filter(|step| step.step.describe().contains("cni0"))
            .map(|step| (step.host.to_string(), step.id))
            .collect::<Vec<_>>()
    };
    let mut facts = bare_facts(&spec);
    assert_eq!(leftover_steps(&facts), []);

    let worker = spec.hosts[1].name.clone();
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&worker) else {
        panic!("the worker is there");
    };
    let mut bridge = host.links[0].clone();
    bridge.name = "cni0".to_owned();
    host.links.push(bridge);
    let found = leftover_steps(&facts);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "w-1");
    let plan = plan_cluster(&spec, &facts, &manifest, &Scope::All).expect("it can be planned");
    let start = "w-1/kubelet-start/start kubelet.service";
    let start = plan.steps.iter().find(|step| step.id.as_str() == start);
    assert!(
        start
            .expect("the kubelet starts")
            .needs
            .contains(&found[0].1)
    );

    // A node's own pod network is not a leftover.
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&worker) else {
        panic!("the worker is there");
    };
    host.existing.kubelet_conf = true;
    assert_eq!(leftover_steps(&facts), []);
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
    assert!(!page(&found).contains("flannel"), "{}", page(&found));

    spec.networking.cni = Cni::Manifests(vec![LocalText {
        path: "never-read.yaml".into(),
        text: None,
    }]);
    let error = plan(&spec).unwrap_err();
    assert!(matches!(error, PlanError::NotRead(_)), "{error}");
}

#[test]
fn several_control_planes_are_refused_for_now() {
    let mut spec = spec();
    spec.hosts[1].role = slipway_api::Role::ControlPlane;
    let error = plan_cluster(
        &spec,
        &bare_facts(&spec),
        &manifest(&spec.kubernetes_version),
        &Scope::All,
    )
    .unwrap_err();
    assert!(
        matches!(error, PlanError::SeveralControlPlanes { count: 2 }),
        "{error}"
    );
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

/// Returns the facts after `slipway init`, with the API server up.
fn cluster_facts() -> Facts {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    for host in &spec.hosts {
        let Some(HostState::Reached(found)) = facts.hosts.get_mut(&host.name) else {
            panic!("{} is reached", host.name);
        };
        found.existing.slipway_cluster = Some(spec.name.clone());
        found.existing.runtime_is_ours = true;
        found.existing.kubelet_conf = true;
        found.existing.admin_conf = host.role == Role::ControlPlane;
    }
    facts.cluster = Some(ClusterFacts {
        api_server_version: "v1.36.3".to_owned(),
        nodes: Vec::new(),
        certificates: Vec::new(),
        unhealthy: Vec::new(),
    });
    facts
}

fn removal_of(hosts: &[&str]) -> Removal {
    Removal {
        hosts: hosts.iter().map(|name| name.parse().unwrap()).collect(),
        drain_timeout_seconds: 300,
        delete_empty_dir_data: false,
    }
}

const ALL_HOSTS: [&str; 3] = ["cp-1", "w-1", "w-2"];

#[test]
fn the_whole_cluster_is_removed_workers_first() {
    let plan = plan_removal(&spec(), &cluster_facts(), &removal_of(&ALL_HOSTS)).unwrap();
    insta::assert_snapshot!(page(&plan));
    let first_on_cp = plan.steps.iter().find(|step| step.host.as_str() == "cp-1");
    let needs: Vec<_> = first_on_cp.unwrap().needs.iter().collect();
    assert_eq!(needs.len(), 2, "both workers are gone before: {needs:?}");
}

#[test]
fn one_worker_is_drained_stopped_and_deleted_before_it_is_cleaned() {
    let plan = plan_removal(&spec(), &cluster_facts(), &removal_of(&["w-1"])).unwrap();
    let page = page(&plan);
    let start: Vec<_> = page.lines().take(4).collect();
    assert_eq!(
        start,
        [
            "remove-node        cp-1  cordon and drain node w-1",
            "remove-node        w-1   stop and disable kubelet.service",
            "remove-node        cp-1  delete node w-1",
            "cleanup-node       w-1   stop and disable kubelet.service",
        ]
    );
    for pair in plan.steps.windows(2) {
        assert_eq!(pair[1].needs, [pair[0].id.clone()]);
    }
}

#[test]
fn a_dead_worker_leaves_the_cluster_and_is_not_cleaned() {
    let mut facts = cluster_facts();
    lose(&mut facts, "w-1");
    let plan = plan_removal(&spec(), &facts, &removal_of(&["w-1"])).unwrap();
    let steps: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        steps,
        [
            "cp-1/remove-node/cordon and drain node w-1",
            "cp-1/remove-node/delete node w-1",
        ]
    );
    assert_eq!(plan.steps[1].needs, [plan.steps[0].id.clone()]);
    assert_eq!(left_out(&plan), ["w-1"]);
}

#[test]
fn the_reachable_hosts_are_cleaned_when_the_whole_cluster_ends() {
    for dead in ALL_HOSTS {
        let mut facts = cluster_facts();
        lose(&mut facts, dead);
        let plan = plan_removal(&spec(), &facts, &removal_of(&ALL_HOSTS)).unwrap();
        assert_eq!(left_out(&plan), [dead]);
        assert!(is_closed(&plan));
        let hosts: Vec<_> = plan.hosts().iter().map(ToString::to_string).collect();
        let mut reached = ALL_HOSTS.to_vec();
        reached.retain(|host| *host != dead);
        reached.rotate_left(usize::from(dead != "cp-1"));
        assert_eq!(hosts, reached, "workers first");
    }
}

#[test]
fn a_worker_stays_while_the_control_plane_host_is_out_of_reach() {
    let mut facts = cluster_facts();
    facts.cluster = None;
    lose(&mut facts, "cp-1");
    let error = plan_removal(&spec(), &facts, &removal_of(&["w-1"])).unwrap_err();
    assert!(matches!(error, PlanError::HostNotReached { .. }), "{error}");
}

#[test]
fn a_worker_stays_while_the_api_server_is_down() {
    let mut facts = cluster_facts();
    facts.cluster = None;
    let error = plan_removal(&spec(), &facts, &removal_of(&["w-1"])).unwrap_err();
    assert!(matches!(error, PlanError::ApiDown { .. }), "{error}");
}

#[test]
fn bare_hosts_are_left_alone_by_a_removal() {
    let spec = spec();
    let plan = plan_removal(&spec, &bare_facts(&spec), &removal_of(&ALL_HOSTS)).unwrap();
    assert!(plan.is_empty(), "{}", page(&plan));
}

#[test]
fn a_host_of_another_cluster_is_not_removed() {
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.slipway_cluster = Some("other".to_owned());
    }
    let error = plan_removal(&spec(), &facts, &removal_of(&ALL_HOSTS)).unwrap_err();
    assert!(matches!(error, PlanError::OtherCluster { .. }), "{error}");
}

#[test]
fn a_removal_keeps_a_runtime_that_was_there_before() {
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.runtime_is_ours = false;
    }
    let plan = plan_removal(&spec(), &facts, &removal_of(&["w-1"])).unwrap();
    let page = page(&plan);
    assert!(
        !page.contains("containerd") && !page.contains("runc"),
        "{page}"
    );
}

#[test]
fn the_only_control_plane_does_not_leave_workers_behind() {
    let error = plan_removal(&spec(), &cluster_facts(), &removal_of(&["cp-1"])).unwrap_err();
    assert!(
        matches!(error, PlanError::LastControlPlane { .. }),
        "{error}"
    );
}
