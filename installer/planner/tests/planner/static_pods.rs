//! Static Pods: restarted for what they read, and waited for.

use std::collections::BTreeMap;

use crate::plans::somebody_s_containerd;
use crate::support::{bare_facts, manifest, spec};
use slipway_api::{Check, HostState, Plan, Step, StepId};
use slipway_planner::{PlanError, Scope, plan_cluster};

fn whole_plan() -> Plan {
    let spec = spec();
    let manifest = manifest(&spec.kubernetes_version);
    plan_cluster(&spec, &bare_facts(&spec), &manifest, &Scope::All).expect("it can be planned")
}

/// Returns what is left of the plan where only the step called `changed` has
/// something to do.
fn left_after(changed: &str) -> Vec<String> {
    let plan = whole_plan();
    assert!(
        plan.steps.iter().any(|step| step.id.as_str() == changed),
        "{changed}"
    );
    let check = |id: &StepId| match id.as_str() == changed {
        true => Check::Needed {
            because: "it expired".to_owned(),
        },
        false => Check::Satisfied,
    };
    let checks: BTreeMap<_, _> = plan
        .steps
        .iter()
        .map(|it| (it.id.clone(), check(&it.id)))
        .collect();
    let left = plan.without_satisfied(&checks);
    left.steps.iter().map(|step| step.step.describe()).collect()
}

#[test]
fn a_new_kubeconfig_restarts_the_component_that_reads_it_and_nothing_else() {
    assert_eq!(
        left_after("cp-1/kubeconfig/write kubeconfig scheduler.conf"),
        [
            "write kubeconfig scheduler.conf",
            "run static Pod kube-scheduler"
        ]
    );
    assert_eq!(
        left_after("cp-1/kubeconfig/write kubeconfig admin.conf"),
        ["write kubeconfig admin.conf"]
    );
}

#[test]
fn a_new_certificate_of_the_api_server_restarts_it_and_waits_for_it() {
    let expected = [
        "issue certificate apiserver",
        "run static Pod kube-apiserver",
        "wait until the API server is ready",
    ];
    assert_eq!(
        left_after("cp-1/certs/issue certificate apiserver"),
        expected
    );
}

#[test]
fn a_new_manifest_of_etcd_waits_for_etcd_and_then_for_the_api_server() {
    let expected = [
        "write /etc/kubernetes/manifests/etcd.yaml",
        "run static Pod etcd",
        "wait until the API server is ready",
    ];
    assert_eq!(
        left_after("cp-1/etcd/write /etc/kubernetes/manifests/etcd.yaml"),
        expected
    );
}

#[test]
fn every_component_reads_files_that_the_plan_writes() {
    let plan = whole_plan();
    let pods: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| {
            let Step::EnsureStaticPod(pod) = &step.step else {
                return None;
            };
            Some(pod)
        })
        .collect();
    assert_eq!(pods.len(), 4);
    for pod in pods {
        for file in &pod.files {
            let path = file.trim_start_matches("/etc/kubernetes/");
            let is_known = path.starts_with("pki/") || path.ends_with(".conf");
            assert!(is_known && !file.ends_with(".key"), "{}: {file}", pod.name);
        }
    }
}

#[test]
fn only_the_super_administrator_s_kubeconfig_stays_away_once_it_was_taken() {
    let only_at_first: Vec<_> = whole_plan()
        .steps
        .into_iter()
        .filter_map(|step| {
            let Step::EnsureKubeconfig(it) = step.step else {
                return None;
            };
            it.only_at_first.then_some(it.name)
        })
        .collect();
    assert_eq!(only_at_first, ["super-admin"]);
}

#[test]
fn a_runtime_that_takes_no_images_is_refused_unless_containerd_comes_beside_it() {
    let mut spec = spec();
    let mut facts = bare_facts(&spec);
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        let mut runtime = somebody_s_containerd();
        runtime.name = "cri-o".to_owned();
        runtime.socket = "/run/crio/crio.sock".to_owned();
        host.runtime = Some(runtime);
    }
    let manifest = manifest(&spec.kubernetes_version);
    let error = plan_cluster(&spec, &facts, &manifest, &Scope::All).unwrap_err();
    assert!(
        matches!(error, PlanError::UnsupportedRuntime { .. }),
        "{error}"
    );
    assert!(error.help().unwrap().contains("adopt: false"));
    spec.runtime.adopt = false;
    plan_cluster(&spec, &facts, &manifest, &Scope::All).expect("containerd comes beside it");
}

#[test]
fn an_adopted_runtime_gets_the_pause_image_under_its_own_name_too() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.runtime = Some(somebody_s_containerd());
    }
    let manifest = manifest(&spec.kubernetes_version);
    let plan = plan_cluster(&spec, &facts, &manifest, &Scope::All).unwrap();
    let sandboxes: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| {
            let Step::ImportImage(it) = &step.step else {
                return None;
            };
            let name = it.image.reference.to_string();
            it.is_sandbox.then_some((step.host.as_str(), name))
        })
        .collect();
    assert_eq!(
        sandboxes,
        [("w-1", "registry.k8s.io/pause:3.10.2".to_owned())]
    );
}
