//! Several control-plane hosts: proofs before members, secrets by memory only,
//! and the same end wherever a run was cut off.

use slipway_api::protocol::{Reply, Request};
use slipway_api::{ClusterSpec, Entry, Outcome, Plan, Progress, RunId, RunState, SecretText, Step};
use slipway_engine::{EngineError, Fleet, RunRequest, Survey, gather_facts, run_plan};
use slipway_hosts::{FakeHost, Fault, Host};

use crate::fakes::{NamedBlobs, answer, applied, desired_of, fleet};
use crate::support::spec_of;

/// What the fake control-plane host keeps secret.
const SECRET: &str = "the key of the authority";

fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
        \x20   - { name: cp-3, address: 192.0.2.13, role: control-plane }\n",
    )
}

/// Answers as a host does whose ports are open.
pub(crate) fn script(request: &Request) -> Option<Reply> {
    if let Request::ReadAuthorities { names } = request {
        let files = names.iter().cloned();
        let files = files.map(|name| (name, SecretText::new(SECRET))).collect();
        return Some(Reply::Authorities { files });
    }
    if let Request::OpenEtcdPorts { .. } | Request::CloseEtcdPorts = request {
        return Some(Reply::Done { changed: true });
    }
    if let Request::TryEtcdPorts { .. } = request {
        let unreached = Vec::new();
        return Some(Reply::EtcdPorts { unreached });
    }
    answer(request)
}

fn hosts() -> Vec<FakeHost> {
    let host = |name| FakeHost::new(name).with_script(|request, _| script(request).map(Ok));
    let spec = spec();
    spec.hosts.iter().map(|it| host(it.name.clone())).collect()
}

async fn look(fleet: &mut Fleet) -> Result<Survey, EngineError> {
    let spec = spec();
    let facts = gather_facts(fleet, &spec).await;
    Survey::take(fleet, facts, |facts| desired_of(&spec, facts)).await
}

async fn run(hosts: &[FakeHost]) -> Result<(RunState, Vec<Entry>, Plan), EngineError> {
    let mut fleet = fleet(hosts);
    let plan = look(&mut fleet).await?.plan;
    let request = RunRequest {
        run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
        command: "init".to_owned(),
        plan: &plan,
        blobs: &NamedBlobs::new(),
        stop: tokio::sync::watch::channel(false).1,
    };
    let mut entries = Vec::new();
    let state = run_plan(&fleet, request, &mut |entry| entries.push(entry.clone())).await?;
    Ok((state, entries, plan))
}

fn is_join(request: &Request) -> bool {
    matches!(request, Request::RunStep { step, .. } if matches!(**step, Step::JoinEtcd(_)))
}

#[tokio::test]
async fn members_prove_both_ways_before_one_is_added() {
    let hosts = hosts();
    let (state, _, _) = run(&hosts).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Succeeded));
    for (host, tries) in hosts.iter().zip([2, 2, 2]) {
        let requests = host.requests();
        let tried = requests
            .iter()
            .filter(|request| matches!(request, Request::TryEtcdPorts { .. }));
        assert_eq!(tried.count(), tries, "{}", host.name());
        let joined = requests.iter().position(is_join);
        let closed = requests
            .iter()
            .position(|request| *request == Request::CloseEtcdPorts);
        assert!(closed <= joined, "etcd needs its ports");
        assert_eq!(joined.is_some(), host.name().as_str() != "cp-1");
    }
}

#[tokio::test]
async fn a_blocked_port_is_named_with_both_hosts_and_nobody_is_added() {
    for (blocked, expected) in [
        (
            "cp-1",
            "cp-1 does not reach TCP port 2380 of cp-2: the connection is refused",
        ),
        (
            "cp-2",
            "cp-2 does not reach TCP port 2380 of cp-1: the connection is refused",
        ),
    ] {
        let mut hosts = hosts();
        for host in hosts
            .iter_mut()
            .filter(|host| host.name().as_str() == blocked)
        {
            *host = host.clone().with_script(|request, _| {
                if let Request::TryEtcdPorts { .. } = request {
                    let unreached = vec![(2380, "the connection is refused".to_owned())];
                    return Some(Ok(Reply::EtcdPorts { unreached }));
                }
                script(request).map(Ok)
            });
        }
        let (state, _, _) = run(&hosts).await.unwrap();
        assert_eq!(state.outcome, Some(Outcome::Failed));
        let (_, failure) = state.failures().next().unwrap();
        assert!(failure.message.contains(expected), "{failure}");
        assert!(
            hosts
                .iter()
                .all(|host| !host.requests().iter().any(is_join)),
            "no member is added"
        );
    }
}

#[tokio::test]
async fn keys_go_to_control_plane_hosts_and_into_no_journal() {
    let hosts = hosts();
    let (_, entries, plan) = run(&hosts).await.unwrap();
    for text in [
        serde_json::to_string(&entries).unwrap(),
        serde_json::to_string(&plan).unwrap(),
        format!("{entries:?}"),
    ] {
        assert!(!text.contains(SECRET));
    }
    let given: Vec<bool> = hosts
        .iter()
        .map(|host| {
            let requests = host.requests();
            let has = |request: &Request| {
                matches!(request, Request::RunStep { attachment, .. } if !attachment.authorities.is_empty())
            };
            assert!(!format!("{requests:?}").contains(SECRET));
            requests.iter().any(has)
        })
        .collect();
    assert_eq!(given, [false, true, true]);
}

#[tokio::test]
async fn a_host_that_dies_at_any_request_joins_when_the_run_is_made_again() {
    let whole = hosts();
    run(&whole).await.unwrap();
    for victim in 0..whole.len() {
        let count = whole[victim].requests().len();
        for nth in 1..count {
            for fault in [Fault::DieBefore, Fault::DieAfter] {
                let hosts = hosts();
                hosts[victim].fail_at(nth, fault);
                // A host that is lost before there is a plan ends the command.
                if let Ok((state, _, _)) = run(&hosts).await {
                    assert!(state.outcome.is_some());
                }
                hosts[victim].revive();
                let (state, _, _) = run(&hosts).await.unwrap();
                assert_eq!(state.outcome, Some(Outcome::Succeeded), "{victim} at {nth}");
                assert_eq!(applied(&hosts), applied(&whole), "{victim} at {nth}");
            }
        }
    }
}

#[tokio::test]
async fn a_second_run_of_several_control_planes_has_nothing_to_do() {
    let hosts = hosts();
    let (state, _, _) = run(&hosts).await.unwrap();
    let is_done = |step: &slipway_api::StepState| matches!(step.progress, Progress::Done { .. });
    assert!(state.steps.iter().all(is_done));
    let survey = look(&mut fleet(&hosts)).await.unwrap();
    assert!(survey.plan.is_empty());
}
