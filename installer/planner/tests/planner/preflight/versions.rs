//! Architectures and versions that do not go together.

use slipway_api::{Architecture, Facts, Finding, KubeletFacts, NodeFacts, RuntimeFacts, Severity};
use slipway_planner::{Scope, preflight};

use super::*;
use crate::removals::cluster_facts;
use crate::support::{bare_facts, spec};

#[test]
fn a_host_of_another_architecture_than_the_file_says_is_told() {
    let mut spec = spec();
    spec.hosts[0].architecture = Some(Architecture::Amd64);
    spec.hosts[1].architecture = Some(Architecture::Arm64);
    let found = preflight::check(&spec, &bare_facts(&spec), None, &Scope::All);
    let [finding] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (finding.severity, finding.id.as_str()),
        (Severity::Error, "Architecture")
    );
    assert_eq!(finding.seen, "the host is amd64, the file says arm64");
}

#[test]
fn a_masked_containerd_does_not_matter_where_another_runtime_is_adopted() {
    let found = found(|host| {
        host.software.masked_units = vec!["containerd.service".into()];
        host.runtime = Some(RuntimeFacts {
            version: "2.1.4".to_owned(),
            ..foreign_runtime(Some("systemd"))
        });
    });
    let masked = (Severity::Error, "Service-containerd".to_owned());
    assert!(!found.contains(&masked), "{found:?}");
}

/// Returns what is told of versions: their IDs and what was seen.
fn told(facts: &Facts) -> Vec<(String, String)> {
    let found = preflight::check(&spec(), facts, None, &Scope::All);
    let is_of_versions = |it: &Finding| {
        [
            "KubernetesVersion",
            "VersionChange",
            "KubeletVersion",
            "VersionSkew",
        ]
        .contains(&it.id.as_str())
    };
    let errors = found.into_iter().filter(is_of_versions);
    errors
        .map(|it| {
            assert_eq!(it.severity, Severity::Error);
            (it.id, it.seen)
        })
        .collect()
}

#[test]
fn a_file_names_the_version_that_the_cluster_runs() {
    for (running, id) in [
        ("v1.36.3", None),
        ("v1.36.2", Some("VersionChange")),
        ("v1.36.4", Some("KubernetesVersion")),
        ("v1.35.9", Some("VersionChange")),
        ("v1.37.0", Some("KubernetesVersion")),
        // Of what nobody can read nothing is said.
        ("devel", None),
    ] {
        let mut facts = cluster_facts();
        running.clone_into(&mut facts.cluster.as_mut().unwrap().api_server_version);
        let seen = format!("the cluster runs {running}, the file names v1.36.3");
        let expected = id.map(|id| (id.to_owned(), seen));
        assert_eq!(told(&facts), Vec::from_iter(expected), "{running}");
    }
}

#[test]
fn a_file_names_the_version_of_the_kubelets_while_the_api_is_down() {
    for (installed, expected) in [
        ("v1.36.3", None),
        ("v1.36.2", Some("VersionChange")),
        ("v1.35.9", Some("VersionChange")),
        ("v1.37.0", Some("KubeletVersion")),
        ("devel", None),
    ] {
        let mut facts = cluster_facts();
        facts.cluster = None;
        change(&mut facts, "w-1", |host| {
            host.kubelet = Some(KubeletFacts {
                path: "/usr/local/bin/kubelet".into(),
                version: Some(installed.into()),
                cgroup_driver: None,
                active: true,
            });
        });
        let told: Vec<_> = told(&facts).into_iter().map(|(id, _)| id).collect();
        assert_eq!(told, Vec::from_iter(expected), "{installed}");
    }
}

#[test]
fn a_kubelet_may_be_three_minors_older_and_never_newer() {
    for (kubelet, is_fine) in [
        ("v1.36.9", true),
        ("v1.35.0", true),
        ("v1.33.0", true),
        ("v1.32.9", false),
        ("v1.37.0", false),
        ("devel", true),
    ] {
        let mut facts = cluster_facts();
        facts.cluster.as_mut().unwrap().nodes = vec![NodeFacts {
            name: "w-2".to_owned(),
            ready: true,
            roles: Vec::new(),
            kubelet_version: kubelet.to_owned(),
            internal_ip: None,
            unschedulable: false,
            pod_subnet: None,
        }];
        let seen = format!("the kubelet of w-2 is {kubelet}, the control plane v1.36.3");
        let expected = [("VersionSkew".to_owned(), seen)];
        assert_eq!(told(&facts), expected[usize::from(is_fine)..], "{kubelet}");
    }
}
