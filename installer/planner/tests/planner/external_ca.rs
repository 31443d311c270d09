//! Clusters whose authorities are given, with their keys or without.

use slipway_api::{
    AuthorityFacts, ClusterSpec, Facts, Finding, HostProbes, HostState, Plan, Probe, ProbeOutcome,
    Severity, Step, UnfitFile,
};
use slipway_planner::preflight::{self, plan_listeners, plan_probes};
use slipway_planner::{Scope, certificate_requests, plan_cluster};

use crate::support::{bare_facts, manifest, spec};

fn authority(name: &str, has_key: bool) -> AuthorityFacts {
    AuthorityFacts {
        name: name.to_owned(),
        has_certificate: true,
        has_key,
        ..AuthorityFacts::default()
    }
}

/// Returns the facts of bare hosts, where the control-plane host has authorities.
fn facts_with(spec: &ClusterSpec, authorities: Vec<AuthorityFacts>) -> Facts {
    let mut facts = bare_facts(spec);
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"cp-1".parse().unwrap()) else {
        panic!("cp-1 is reached");
    };
    host.existing.authorities = authorities;
    facts
}

fn plan_with(authorities: Vec<AuthorityFacts>) -> Plan {
    let spec = spec();
    let facts = facts_with(&spec, authorities);
    let manifest = manifest(&spec.kubernetes_version);
    plan_cluster(&spec, &facts, &manifest, &Scope::All).expect("it can be planned")
}

fn lines(plan: &Plan) -> Vec<String> {
    let line = |step: &slipway_api::PlannedStep| format!("{}: {}", step.host, step.step.describe());
    plan.steps.iter().map(line).collect()
}

fn controller_manager(plan: &Plan) -> &str {
    let manifest = plan.steps.iter().find_map(|step| {
        let Step::WriteFile(file) = &step.step else {
            return None;
        };
        let is_it = file.path.ends_with("kube-controller-manager.yaml");
        is_it.then_some(&file.content)
    });
    manifest.expect("it is planned")
}

#[test]
fn authorities_that_are_given_with_their_keys_change_nothing_in_the_plan() {
    let given = ["ca", "front-proxy-ca", "etcd-ca", "sa"].map(|name| authority(name, true));
    assert_eq!(plan_with(given.to_vec()), plan_with(Vec::new()));
    assert!(controller_manager(&plan_with(Vec::new())).contains("cluster-signing-key-file="));
}

#[test]
fn nothing_is_issued_where_the_ca_s_key_is_elsewhere() {
    let plan = plan_with(vec![authority("ca", false)]);
    let lines = lines(&plan);
    let looked_at: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(": look at ").map(|(_, what)| what))
        .collect();
    assert_eq!(
        looked_at,
        [
            "certificate authority ca, whose key is elsewhere",
            "certificate apiserver, issued elsewhere",
            "certificate apiserver-kubelet-client, issued elsewhere",
            "kubeconfig admin.conf, issued elsewhere",
            "kubeconfig super-admin.conf, issued elsewhere",
            "kubeconfig controller-manager.conf, issued elsewhere",
            "kubeconfig scheduler.conf, issued elsewhere",
            "kubeconfig kubelet.conf, issued elsewhere",
            "kubeconfig kubelet.conf, issued elsewhere",
            "kubeconfig kubelet.conf, issued elsewhere",
        ]
    );
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(
        has("cp-1: make certificate authority etcd-ca") && has("cp-1: issue certificate etcd-peer")
    );
    assert!(
        !has("issue kubelet") && !has("apply metrics-server") && !has("kube-system/metrics-server"),
        "{lines:#?}"
    );
    assert!(plan.steps.iter().all(|step| step.step.signer().is_none()));
    let manifest = controller_manager(&plan);
    assert!(!manifest.contains("ca.key"), "{manifest}");
}

#[test]
fn each_authority_s_key_may_be_elsewhere_by_itself() {
    let lines = lines(&plan_with(vec![authority("front-proxy-ca", false)]));
    let looked_at: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("look at"))
        .collect();
    assert_eq!(
        looked_at,
        [
            "cp-1: look at certificate authority front-proxy-ca, whose key is elsewhere",
            "cp-1: look at certificate front-proxy-client, issued elsewhere",
        ]
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("issue kubelet client certificate for w-2"))
    );
}

/// Returns the probes that look at given files, by host.
fn judging(spec: &ClusterSpec, facts: &Facts) -> Vec<(String, Probe)> {
    let opened = plan_listeners(spec, facts, &Scope::All)
        .into_keys()
        .map(|host| (host, HostProbes::default()))
        .collect();
    plan_probes(spec, facts, &Scope::All, &opened)
        .into_iter()
        .flat_map(|(host, probes)| {
            let judging = probes.into_iter();
            judging
                .filter(|probe| matches!(probe, Probe::JudgeGiven { .. }))
                .map(move |probe| (host.to_string(), probe))
        })
        .collect()
}

#[test]
fn what_others_must_issue_is_looked_at_before_anything_is_made() {
    let spec = spec();
    assert_eq!(judging(&spec, &bare_facts(&spec)), []);
    let mut facts = facts_with(
        &spec,
        vec![authority("ca", false), authority("etcd-ca", false)],
    );
    let counts = |facts: &Facts| -> Vec<_> {
        judging(&spec, facts)
            .into_iter()
            .map(|(host, probe)| {
                let Probe::JudgeGiven {
                    certificates,
                    kubeconfigs,
                    ..
                } = probe
                else {
                    panic!("{probe:?}");
                };
                (host, certificates.len(), kubeconfigs.len())
            })
            .collect()
    };
    let workers = [("w-1".to_owned(), 0, 1), ("w-2".to_owned(), 0, 1)];
    let expected =
        |kubeconfigs| [&[("cp-1".to_owned(), 6, kubeconfigs)][..], &workers[..]].concat();
    assert_eq!(counts(&facts), expected(5));
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"cp-1".parse().unwrap()) else {
        panic!("cp-1 is reached");
    };
    host.existing.slipway_cluster = Some("harbour".to_owned());
    assert_eq!(counts(&facts), expected(4), "super-admin.conf may be gone");
}

fn found(spec: &ClusterSpec, facts: &Facts) -> Vec<Finding> {
    preflight::check(spec, facts, None, &Scope::All)
}

#[test]
fn a_kubelet_conf_that_was_put_there_for_a_node_to_come_is_no_other_cluster_s() {
    let spec = spec();
    let given = |authorities: Vec<AuthorityFacts>| {
        let mut facts = facts_with(&spec, authorities);
        for host in facts.hosts.values_mut() {
            if let HostState::Reached(host) = host {
                host.existing.kubelet_conf = true;
            }
        }
        facts
    };
    let errors = |facts: &Facts| {
        let found = found(&spec, facts);
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        found.iter().filter(is_error).count()
    };
    assert_eq!(errors(&given(vec![authority("ca", false)])), 0);
    assert_eq!(errors(&given(vec![authority("ca", true)])), 3);
    let facts = given(vec![authority("ca", false)]);
    let listening = plan_listeners(&spec, &facts, &Scope::All);
    assert_eq!(listening.len(), 3, "none of them is a node yet");
}

#[test]
fn every_file_that_others_must_issue_is_named_with_what_mends_it() {
    let spec = spec();
    let mut facts = facts_with(&spec, vec![authority("ca", false)]);
    for (host, probe) in judging(&spec, &facts) {
        let unfit = |path: &str, is_usable| UnfitFile {
            path: path.to_owned(),
            why: "it is not as it should be".to_owned(),
            is_usable,
        };
        let files = match host.as_str() {
            "cp-1" => vec![
                unfit("/etc/kubernetes/pki/apiserver.crt", false),
                unfit("/etc/kubernetes/pki/etcd/server.key", false),
                unfit("/etc/kubernetes/scheduler.conf", true),
            ],
            _ => vec![unfit("/etc/kubernetes/kubelet.conf", false)],
        };
        let probes = HostProbes {
            outcomes: vec![(probe, ProbeOutcome::Unfit { files })],
            ..HostProbes::default()
        };
        facts.probes.insert(host.parse().unwrap(), probes);
    }
    let found = found(&spec, &facts);
    let of_ca: Vec<&Finding> = found.iter().filter(|it| it.id == "ExternalCA").collect();
    let errors = of_ca.iter().filter(|it| it.severity == Severity::Error);
    assert_eq!((of_ca.len(), errors.count()), (6, 4), "{of_ca:#?}");
    let help = |seen: &str| -> &str {
        let finding = of_ca.iter().find(|it| it.seen.starts_with(seen));
        &finding.expect("it is found").help
    };
    assert!(help("/etc/kubernetes/pki/etcd/server.key").contains("pki/etcd/server.csr"));
    let worker = help("/etc/kubernetes/kubelet.conf");
    assert!(
        worker.contains("--host w-1") && worker.contains("system:node:w-1"),
        "{worker}"
    );
    let why = &of_ca
        .iter()
        .find(|it| it.seen.contains("kubelet.conf"))
        .unwrap()
        .why;
    assert!(why.contains("with a token neither"), "{why}");
    assert!(
        of_ca
            .iter()
            .any(|it| it.seen.contains("metrics-server is left out"))
    );
}

#[test]
fn an_authority_that_cannot_work_is_told() {
    let spec = spec();
    let year = |year: i64| jiff::Timestamp::from_second(year * 31_556_952).unwrap();
    let good = AuthorityFacts {
        not_before: Some(year(-1)),
        not_after: Some(year(1)),
        ..authority("ca", true)
    };
    let cases = [
        (good.clone(), None),
        (
            AuthorityFacts {
                not_after: Some(year(0) - jiff::SignedDuration::from_secs(1)),
                ..good.clone()
            },
            Some("is valid from"),
        ),
        (
            AuthorityFacts {
                trouble: Some("its key belongs to another certificate".to_owned()),
                ..good.clone()
            },
            Some("belongs to another certificate"),
        ),
        (
            AuthorityFacts {
                has_certificate: false,
                has_key: true,
                name: "front-proxy-ca".to_owned(),
                ..AuthorityFacts::default()
            },
            Some("front-proxy-ca.key is there without"),
        ),
        (authority("sa", false), Some("sa.pub is there without")),
    ];
    for (authority, expected) in cases {
        let found = found(&spec, &facts_with(&spec, vec![authority]));
        match expected {
            None => assert_eq!(found, []),
            Some(text) => {
                assert_eq!(found.len(), 1, "{found:#?}");
                assert_eq!(found[0].id, "CertificateAuthority");
                assert!(found[0].seen.contains(text), "{}", found[0].seen);
            }
        }
    }
}

#[test]
fn requests_are_made_for_everything_a_control_plane_needs_and_a_worker_s_kubelet() {
    let names = |host: &str| {
        let requests = certificate_requests(&spec(), &host.parse().unwrap()).unwrap();
        let certificates = requests.certificates.iter().map(|it| it.name.clone());
        let kubeconfigs = requests.kubeconfigs.iter();
        let kubeconfigs = kubeconfigs.map(|it| format!("{}.conf for {}", it.name, it.node_name));
        certificates.chain(kubeconfigs).collect::<Vec<_>>()
    };
    assert_eq!(names("w-1"), ["kubelet.conf for w-1"]);
    assert_eq!(names("cp-1").len(), 12);
    assert!(certificate_requests(&spec(), &"other".parse().unwrap()).is_err());
}
