//! Renewed certificates: which, in which order, and how soon they are told of.

use std::collections::BTreeSet;

use slipway_api::{AuthorityFacts, CertificateSummary, ClusterSpec, Facts, HostState, Plan, Step};
use slipway_planner::{ClusterHealth, PlanError, Renewal, Scope, Seen, plan_renewal};

use crate::plans::{before, page, positions};
use crate::removals::cluster_facts;
use crate::support::{bare_facts, spec_of};

/// Seconds in a day.
const DAY: i64 = 86_400;

fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n",
    )
}

fn certificate(name: &str, authority: &str, days: i64) -> CertificateSummary {
    CertificateSummary {
        name: name.to_owned(),
        authority: Some(authority.to_owned()),
        not_after: jiff::Timestamp::from_second(days * DAY + 1).unwrap(),
        serial_number: format!("serial of {name}"),
    }
}

/// Returns a cluster that is there, with some of its certificates.
fn facts(days: i64) -> Facts {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    for (name, state) in &mut facts.hosts {
        let HostState::Reached(host) = state else {
            continue;
        };
        host.existing.kubelet_conf = true;
        host.existing.certificates = vec![
            certificate("kubelet.conf", "ca", days),
            certificate("kubelet-serving", "ca", days),
        ];
        if name.as_str() != "w-1" {
            host.existing.admin_conf = true;
            host.existing.etcd_data = true;
            host.existing.manifests = vec!["kube-apiserver.yaml".to_owned()];
            host.existing.certificates.extend([
                certificate("admin.conf", "ca", days),
                certificate("apiserver", "ca", days),
                certificate("etcd-peer", "etcd-ca", days),
            ]);
        }
    }
    facts.cluster = cluster_facts().cluster;
    facts.cluster_from = Some("cp-1".parse().unwrap());
    facts
}

fn renewed(facts: &Facts, renewal: &Renewal) -> Plan {
    plan_renewal(&spec(), facts, &Scope::All, renewal).unwrap()
}

fn named(name: &str) -> Renewal {
    Renewal::Named(BTreeSet::from([name.to_owned()]))
}

#[test]
fn all_certificates_are_renewed_node_by_node_and_nothing_else_is_touched() {
    insta::assert_snapshot!(page(&renewed(&facts(300), &Renewal::All)));
}

#[test]
fn no_node_s_certificates_are_touched_before_the_node_before_it_serves() {
    let plan = renewed(&facts(300), &Renewal::All);
    let of = |host: &str| -> Vec<usize> {
        let all = plan.steps.iter().enumerate();
        all.filter(|(_, step)| {
            let subject = step.step.awaited().unwrap_or(&step.host);
            subject.as_str() == host
        })
        .map(|(index, _)| index)
        .collect()
    };
    for (first, second) in [("cp-1", "cp-2"), ("cp-2", "w-1")] {
        let first = of(first);
        for index in of(second) {
            let earlier = before(&plan, index);
            let missing: Vec<_> = first.iter().filter(|it| !earlier.contains(it)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", plan.steps[index].id);
        }
    }
}

#[test]
fn where_no_api_server_answers_control_planes_do_not_wait_for_each_other() {
    let mut facts = facts(-365);
    facts.cluster = None;
    facts.cluster_from = None;
    let plan = renewed(&facts, &Renewal::All);
    let certificates = positions(&plan, |step| matches!(step, Step::EnsureCertificate(_)));
    assert!(certificates.len() > 10);
    for index in certificates {
        let own = &plan.steps[index].host;
        let others = before(&plan, index).into_iter();
        assert!(
            others
                .map(|it| &plan.steps[it].host)
                .all(|host| host == own)
        );
    }
    // A worker's kubelet has nobody to talk to before them.
    let kubelets = positions(&plan, |step| matches!(step, Step::EnsureKubeletServing(_)));
    let worker = kubelets
        .into_iter()
        .find(|it| plan.steps[*it].host.as_str() == "w-1");
    let ready = |step: &Step| step.describe() == "wait until the API server is ready";
    let earlier = before(&plan, worker.unwrap());
    assert!(
        positions(&plan, ready)
            .iter()
            .all(|it| earlier.contains(it))
    );
}

#[test]
fn a_named_certificate_is_renewed_alone() {
    let plan = renewed(&facts(300), &named("apiserver"));
    let described: BTreeSet<String> = plan
        .steps
        .iter()
        .map(|step| step.step.describe())
        .filter(|step| step.starts_with("renew") || step.starts_with("issue"))
        .collect();
    assert_eq!(described, ["renew certificate apiserver".to_owned()].into());
}

#[test]
fn the_kubelet_s_own_certificate_is_renewed_for_it_only_when_that_is_asked() {
    let is_renewed = |renewal: &Renewal| {
        let plan = renewed(&facts(300), renewal);
        let described = plan.steps.iter().map(|it| it.step.describe());
        let clients = described.filter(|it| it.contains("kubelet client certificate"));
        clients
            .map(|it| it.starts_with("renew"))
            .collect::<Vec<_>>()
    };
    assert_eq!(is_renewed(&Renewal::All), [false, false, false]);
    assert_eq!(is_renewed(&named("kubelet.conf")), [true, true, true]);
}

#[test]
fn a_name_that_is_no_certificate_s_is_told_with_those_that_there_are() {
    let error = plan_renewal(&spec(), &facts(300), &Scope::All, &named("apiserve")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`apiserve` is no certificate of these hosts"
    );
    assert!(error.help().unwrap().contains("admin.conf, apiserver, "));
}

#[test]
fn what_is_signed_elsewhere_is_left_alone_and_refused_by_name() {
    let mut facts = facts(300);
    for state in facts.hosts.values_mut() {
        let HostState::Reached(host) = state else {
            continue;
        };
        host.existing.authorities = vec![AuthorityFacts {
            name: "ca".to_owned(),
            has_certificate: true,
            has_key: false,
            ..AuthorityFacts::default()
        }];
    }
    let error = plan_renewal(&spec(), &facts, &Scope::All, &named("apiserver")).unwrap_err();
    assert!(
        matches!(error, PlanError::IssuedElsewhere { .. }),
        "{error}"
    );
    let plan = renewed(&facts, &Renewal::All);
    let described = plan.steps.iter().map(|it| it.step.describe());
    let names: BTreeSet<String> = described
        .filter_map(|it| Some(it.rsplit_once(" certificate ")?.1.to_owned()))
        .collect();
    assert!(
        names.contains("etcd-peer") && !names.contains("apiserver"),
        "{names:?}"
    );
}

#[test]
fn certificates_of_every_host_are_told_before_they_expire() {
    let judged = |days| {
        let seen = Seen {
            etcd: None,
            etcd_silent: None,
            self_signed: &[],
            now: 0,
        };
        ClusterHealth::of(&spec(), &facts(days), seen)
    };
    let told = |list: Vec<slipway_api::Failure>| -> Vec<String> {
        let messages = list.into_iter().map(|it| it.message);
        messages
            .filter(|it| it.starts_with("certificate"))
            .collect()
    };
    let soon = told(judged(12).warnings);
    assert!(soon.contains(&"certificate apiserver of cp-2 expires in 12 days".to_owned()));
    assert!(
        !soon.iter().any(|it| it.contains("kubelet.conf")),
        "{soon:?}"
    );
    let late = told(judged(-3).unhealthy);
    assert!(late.contains(&"certificate kubelet.conf of w-1 has expired".to_owned()));
    assert_eq!(told(judged(80).warnings), Vec::<String>::new());
}
