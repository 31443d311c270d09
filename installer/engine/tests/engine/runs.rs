//! Cut off anywhere, run again, the same end.

use std::collections::BTreeSet;

use slipway_api::protocol::Request;
use slipway_api::{Event, Failure, Outcome, Progress, Step};
use slipway_engine::{EngineError, tidy};
use slipway_hosts::{FakeHost, Fault, Host};

use crate::fakes::{answer, applied, fakes, fleet, look, run, run_until, whole_plan};

#[tokio::test]
async fn a_whole_run_applies_every_step_once_and_brings_every_blob() {
    let fakes = fakes();
    let (state, _) = run(&fakes).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Succeeded));
    assert_eq!(state.done(), whole_plan().steps.len());
    for fake in &fakes {
        let steps = fake.applied_steps();
        let once: BTreeSet<_> = steps.iter().map(Step::describe).collect();
        assert_eq!(once.len(), steps.len());
        for blob in steps.iter().flat_map(Step::blobs) {
            assert!(fake.has_blob(&blob.sha256));
        }
    }
}

#[tokio::test]
async fn every_step_is_announced_before_it_is_asked_for() {
    let fakes = fakes();
    let (_, entries) = run(&fakes).await.unwrap();
    let mut started = BTreeSet::new();
    for entry in &entries {
        match &entry.event {
            Event::StepStarted { step } => assert!(started.insert(step.clone())),
            Event::StepFinished { step, .. } => assert!(started.contains(step)),
            Event::RunStarted { .. }
            | Event::HostLost(_)
            | Event::WayBackStarted { .. }
            | Event::StepProgress { .. }
            | Event::StepLog { .. }
            | Event::StepFailed { .. }
            | Event::RunFinished { .. } => {}
        }
    }
}

#[tokio::test]
async fn each_host_writes_down_the_run_with_its_own_steps_before_the_first() {
    let fakes = fakes();
    run(&fakes).await.unwrap();
    for fake in &fakes {
        let requests = fake.requests();
        let notes: Vec<usize> = (0..requests.len())
            .filter(|index| matches!(requests[*index], Request::NoteRun { .. }))
            .collect();
        let first_step = requests
            .iter()
            .position(|request| matches!(request, Request::RunStep { .. }));
        assert_eq!(notes.len(), 1);
        assert!(Some(notes[0]) < first_step);
        let Request::NoteRun { event, .. } = &requests[notes[0]] else {
            panic!("it is a note");
        };
        let Event::RunStarted { steps, command, .. } = event.as_ref() else {
            panic!("the run begins: {event:?}");
        };
        assert!(!command.is_empty() && !steps.is_empty());
        assert!(steps.iter().all(|step| step.host == *fake.name()));
    }
}

#[tokio::test]
async fn tidying_keeps_what_the_plan_needs_and_nothing_else() {
    let fakes = fakes();
    run(&fakes).await.unwrap();
    let mut fleet = fleet(&fakes);
    let mut survey = look(&mut fleet).await.unwrap();
    let version = "1.36.3".parse().unwrap();
    let steps = whole_plan().steps;
    let of = |fake: &FakeHost| {
        let mine = steps.iter().filter(|step| step.host == *fake.name());
        mine.flat_map(|step| step.step.blobs()).collect::<Vec<_>>()
    };
    assert_eq!(tidy(&fleet, &survey, &version).await, []);
    for fake in &fakes {
        assert!(of(fake).iter().all(|blob| fake.has_blob(&blob.sha256)));
    }
    for blobs in survey.blobs.values_mut() {
        blobs.pop_first();
    }
    fakes[1].fail_at(
        fakes[1].requests().len(),
        Fault::Fail(Failure::because("no")),
    );
    let failed = tidy(&fleet, &survey, &version).await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].host, *fakes[1].name());
    assert!(
        of(&fakes[1])
            .iter()
            .all(|blob| fakes[1].has_blob(&blob.sha256))
    );
    assert!(
        !of(&fakes[2])
            .iter()
            .all(|blob| fakes[2].has_blob(&blob.sha256))
    );
}

#[tokio::test]
async fn a_second_run_has_nothing_to_do() {
    let fakes = fakes();
    run(&fakes).await.unwrap();
    let plan = look(&mut fleet(&fakes)).await.unwrap().plan;
    assert!(plan.is_empty(), "{:?}", plan.steps.first());
}

#[tokio::test]
async fn a_run_stopped_after_any_step_ends_the_same_when_run_again() {
    let whole = fakes();
    run(&whole).await.unwrap();
    for stop_after in 0..whole_plan().steps.len() {
        let fakes = fakes();
        let (state, _) = run_until(&fakes, stop_after).await.unwrap();
        assert_ne!(state.outcome, Some(Outcome::Failed));
        let (state, _) = run(&fakes).await.unwrap();
        assert_eq!(
            state.outcome,
            Some(Outcome::Succeeded),
            "stopped after {stop_after}"
        );
        assert_eq!(
            applied(&fakes),
            applied(&whole),
            "stopped after {stop_after}"
        );
    }
}

/// Requests before the first step: facts, checks and missing blobs, and on the
/// control-plane host the cluster's facts.
const BEFORE_THE_RUN: usize = 4;

#[tokio::test]
async fn a_host_that_dies_or_hangs_at_any_request_ends_the_same_when_run_again() {
    let whole = fakes();
    run(&whole).await.unwrap();
    for (index, fake) in whole.iter().enumerate() {
        for nth in 0..fake.requests().len() {
            for fault in [Fault::DieBefore, Fault::DieAfter, Fault::Hang] {
                let case = format!("{} {nth} {fault:?}", fake.name());
                let fakes = fakes();
                fakes[index].fail_at(nth, fault.clone());
                match run(&fakes).await {
                    Ok((state, _)) => {
                        let lost: Vec<_> = state.left_out.iter().map(|it| &it.host).collect();
                        // Without the cluster's facts one goes on as if there was no cluster.
                        let is_cluster = index == 0 && nth == 1 && fault == Fault::Hang;
                        let expected = if is_cluster {
                            vec![]
                        } else {
                            vec![fake.name()]
                        };
                        assert_eq!(lost, expected, "{case}");
                    }
                    Err(error) => {
                        assert!(
                            matches!(error, EngineError::Unreachable(_)),
                            "{case}: {error}"
                        );
                        assert!(index == 0 && nth < BEFORE_THE_RUN, "{case}: {error}");
                    }
                }
                fakes.iter().for_each(FakeHost::revive);
                let (state, _) = run(&fakes).await.unwrap();
                assert_eq!(state.outcome, Some(Outcome::Succeeded), "{case}");
                assert_eq!(applied(&fakes), applied(&whole), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_refuses_any_request_ends_the_same_when_asked_again() {
    let whole = fakes();
    run(&whole).await.unwrap();
    for (index, fake) in whole.iter().enumerate() {
        for nth in BEFORE_THE_RUN..fake.requests().len() {
            let fakes = fakes();
            fakes[index].fail_at(nth, Fault::Fail(Failure::because("no space")));
            run(&fakes).await.unwrap();
            let (state, _) = run(&fakes).await.unwrap();
            assert_eq!(
                state.outcome,
                Some(Outcome::Succeeded),
                "{} {nth}",
                fake.name()
            );
            assert_eq!(applied(&fakes), applied(&whole), "{} {nth}", fake.name());
        }
    }
}

#[tokio::test]
async fn a_failed_step_holds_up_what_needs_it_and_nothing_else() {
    let mut fakes = fakes();
    let host = fakes[1].clone().with_script(|request, _| {
        if let Request::RunStep { step, .. } = request
            && step.describe().starts_with("install runc")
        {
            return Some(Err(Failure::because("no space").with_help("make room")));
        }
        answer(request).map(Ok)
    });
    fakes[1] = host;
    let (state, _) = run(&fakes).await.unwrap();
    assert_eq!(state.outcome, Some(Outcome::Failed));
    let failures: Vec<_> = state.failures().collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].1.help.as_deref(), Some("make room"));
    for step in &state.steps {
        let is_other_worker = step.summary.host.as_str() == "w-2";
        assert!(
            !is_other_worker || matches!(step.progress, Progress::Done { .. }),
            "{}",
            step.summary.id
        );
        let is_kubelet = step.summary.id.as_str() == "w-1/kubelet-start/start kubelet.service";
        assert!(!is_kubelet || step.progress == Progress::Waiting);
    }
}
