//! Hosts that are gone: the others go on, and it is told who was left out.

use slipway_api::protocol::Request;
use slipway_api::{Entry, Event, Failure, HostName, Outcome, Progress, RunState, StepId};
use slipway_engine::EngineError;
use slipway_hosts::{FakeHost, Fault, Host};

use crate::fakes::{answer, applied, fakes, fleet, look, run};

fn left_out(state: &RunState) -> Vec<&str> {
    state.left_out.iter().map(|it| it.host.as_str()).collect()
}

/// Returns the same hosts, which answer everything.
fn answering(fakes: &[FakeHost]) -> Vec<FakeHost> {
    let answering = |fake: &FakeHost| fake.clone().without_answer_to(|_| false);
    fakes.iter().map(answering).collect()
}

fn position(fakes: &[FakeHost], name: &str) -> usize {
    let mut names = fakes.iter().map(|fake| fake.name().as_str());
    names.position(|other| other == name).expect("it is there")
}

#[tokio::test]
async fn a_worker_that_is_dead_from_the_start_is_left_out_and_the_others_are_done() {
    let (whole, fakes) = (fakes(), fakes());
    run(&whole).await.unwrap();
    let dead = position(&fakes, "w-1");
    fakes[dead].fail_at(0, Fault::DieBefore);
    let (state, entries) = run(&fakes).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Succeeded));
    assert_eq!(left_out(&state), ["w-1"]);
    let Event::RunStarted { left_out, .. } = &entries[0].event else {
        panic!("{:?}", entries[0].event);
    };
    assert_eq!(
        left_out[0].failure.message,
        "w-1: the connection to the agent was lost: the fake host is dead"
    );
    let other = position(&fakes, "w-2");
    assert_eq!(applied(&fakes)[other], applied(&whole)[other]);
    assert!(applied(&fakes)[dead].is_empty());
}

#[tokio::test]
async fn a_host_that_cannot_tell_its_facts_is_left_out_with_its_reason() {
    let mut fakes = fakes();
    let index = position(&fakes, "w-2");
    fakes[index] = fakes[index].clone().with_script(|request, _| {
        if *request == Request::GatherFacts {
            return Some(Err(Failure::because("/proc is not mounted")));
        }
        answer(request).map(Ok)
    });
    let mut fleet = fleet(&fakes);
    let survey = look(&mut fleet).await.unwrap();
    assert_eq!(survey.plan.left_out.len(), 1);
    let failure = &survey.plan.left_out[0].failure;
    assert_eq!(failure.message, "w-2: /proc is not mounted");
    assert!(
        fleet.host(fakes[index].name()).is_none(),
        "nothing more is asked of it"
    );
    assert!(
        !survey
            .plan
            .steps
            .iter()
            .any(|step| step.host.as_str() == "w-2")
    );
}

#[tokio::test]
async fn without_the_control_plane_host_nothing_is_planned() {
    for fault in [Fault::DieBefore, Fault::Fail(Failure::because("no"))] {
        let fakes = fakes();
        fakes[position(&fakes, "cp-1")].fail_at(0, fault);
        let error = look(&mut fleet(&fakes)).await.unwrap_err();
        let EngineError::Unreachable(hosts) = error else {
            panic!("{error}");
        };
        assert_eq!(hosts.len(), 1);
        assert_eq!(hosts[0].host.as_str(), "cp-1");
    }
}

/// Returns the steps that started on `host` after it was lost.
fn started_after_loss(entries: &[Entry], host: &HostName) -> Vec<StepId> {
    let is_lost =
        |entry: &Entry| matches!(&entry.event, Event::HostLost(lost) if lost.host == *host);
    let after = entries.iter().skip_while(|entry| !is_lost(entry));
    let started = after.filter_map(|entry| {
        let Event::StepStarted { step } = &entry.event else {
            return None;
        };
        Some(step.clone())
    });
    let prefix = format!("{host}/");
    started
        .filter(|id| id.as_str().starts_with(&prefix))
        .collect()
}

#[tokio::test]
async fn a_worker_that_is_lost_on_the_way_stops_and_the_others_finish() {
    let (whole, fakes) = (fakes(), fakes());
    run(&whole).await.unwrap();
    let index = position(&fakes, "w-1");
    let steps = whole[index].requests();
    let nth = steps
        .iter()
        .position(|request| matches!(request, Request::RunStep { .. }));
    fakes[index].fail_at(nth.expect("steps run") + 2, Fault::DieBefore);
    let (state, entries) = run(&fakes).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Failed));
    assert_eq!(left_out(&state), ["w-1"], "told once");
    let name = fakes[index].name();
    assert!(started_after_loss(&entries, name).is_empty());
    for (summary, failure) in state.failures() {
        assert_eq!(summary.host, *name);
        assert!(failure.message.contains("connection"), "{failure}");
        assert!(
            failure
                .help
                .as_ref()
                .is_some_and(|help| help.contains("same command again"))
        );
    }
    for step in &state.steps {
        let is_others = step.summary.host.as_str() == "w-2";
        assert!(
            !is_others || matches!(step.progress, Progress::Done { .. }),
            "{}",
            step.summary.id
        );
    }
}

/// Returns whether it is the wait until a node is Ready.
fn waits_for_node(request: &Request, name: &str) -> bool {
    let Request::RunStep { step, .. } = request else {
        return false;
    };
    step.describe() == format!("wait until node {name} is Ready")
}

#[tokio::test]
async fn nobody_waits_for_the_node_of_a_host_that_is_lost() {
    let mut fakes = fakes();
    let (first, index) = (position(&fakes, "cp-1"), position(&fakes, "w-1"));
    let waiting = fakes[first]
        .clone()
        .without_answer_to(|request| waits_for_node(request, "w-1"));
    fakes[first] = waiting;
    let dying = async {
        // Its kubelet is healthy; the host dies before the node is Ready.
        let asked = || fakes[first].requests();
        while !asked().iter().any(|it| waits_for_node(it, "w-1")) {
            tokio::task::yield_now().await;
        }
        fakes[index].kill();
    };
    let (ended, ()) = tokio::join!(run(&fakes), dying);
    let (state, entries) = ended.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Failed));
    assert_eq!(left_out(&state), ["w-1"]);
    let failures: Vec<_> = state.failures().collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let (step, failure) = failures[0];
    assert_eq!(step.description, "wait until node w-1 is Ready");
    assert!(
        failure.message.starts_with("w-1: the connection"),
        "{failure}"
    );
    assert!(started_after_loss(&entries, fakes[index].name()).is_empty());
    let ready = state
        .steps
        .iter()
        .find(|it| it.summary.description == "wait until node w-2 is Ready");
    let progress = ready.map(|it| &it.progress);
    assert!(
        matches!(progress, Some(Progress::Done { .. })),
        "{progress:?}"
    );

    fakes[index].revive();
    let (state, _) = run(&answering(&fakes)).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn nothing_is_asked_of_a_control_plane_host_that_was_lost() {
    let (whole, fakes) = (fakes(), fakes());
    run(&whole).await.unwrap();
    let index = position(&fakes, "cp-1");
    // It dies when the first worker takes the cluster's certificate from it.
    let mut requests = whole[index].requests().into_iter();
    let nth = requests.position(|request| matches!(request, Request::ReadPublicFile { .. }));
    fakes[index].fail_at(nth.expect("workers take it"), Fault::DieBefore);
    let (state, _) = run(&fakes).await.unwrap();
    assert_eq!(left_out(&state), ["cp-1"]);
    let last = fakes[index].requests().pop();
    assert!(
        matches!(last, Some(Request::ReadPublicFile { .. })),
        "{last:?}"
    );
    let failed: Vec<_> = state
        .failures()
        .map(|(step, _)| step.host.as_str())
        .collect();
    assert!(
        failed.contains(&"w-1"),
        "the worker's step says whom it needed: {failed:?}"
    );
    let signed = state.steps.iter().filter(|step| {
        let is_workers = step.summary.host.as_str() != "cp-1";
        is_workers
            && step
                .summary
                .description
                .contains("kubelet client certificate")
    });
    for step in signed {
        assert_eq!(step.progress, Progress::Waiting, "{}", step.summary.id);
    }
}
