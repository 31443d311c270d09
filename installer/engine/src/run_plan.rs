//! Runs a plan: every step as soon as what it needs is done, hosts in parallel.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use slipway_api::protocol::StepEvent;
use slipway_api::{Entry, Event, Outcome, Plan, PlannedStep, RunId, RunState, StepId, StepSummary};
use slipway_bundle::BlobStore;
use tokio::sync::{mpsc, watch};

use crate::blob_delivery::BlobDelivery;
use crate::run_notes::RunNotes;
use crate::run_step::{Hosts, hosts_of, run_step};
use crate::schedule::Schedule;
use crate::{EngineError, Fleet};

/// What is to be run, and how.
pub struct RunRequest<'a> {
    /// The run's name.
    pub run: RunId,
    /// The command that asked for it, for the journal.
    pub command: String,
    /// The plan.
    pub plan: &'a Plan,
    /// Where blobs come from.
    pub blobs: &'a dyn BlobStore,
    /// Becomes true when no new step is to begin.
    pub stop: watch::Receiver<bool>,
}

/// Runs a plan and returns the state it ended in. Steps whose needs failed are
/// never started, nor are those that need a host which was lost on the way; all
/// others go on. Where a step fails that a way back guards, its host is put back.
///
/// `on_entry` gets every journal entry in order, before the step it announces acts.
///
/// # Errors
/// A host of the plan is not connected.
pub async fn run_plan(
    fleet: &Fleet,
    request: RunRequest<'_>,
    on_entry: &mut (dyn FnMut(&Entry) + Send),
) -> Result<RunState, EngineError> {
    let hosts = connected_hosts(fleet, request.plan)?;
    let delivery = BlobDelivery::prepare(request.plan, &hosts, request.blobs).await;
    let mut recorder = Recorder {
        run: request.run.clone(),
        state: RunState::default(),
        on_entry,
    };
    recorder.record(Event::RunStarted {
        cluster: request.plan.cluster.clone(),
        command: request.command.clone(),
        steps: request.plan.steps.iter().map(summary).collect(),
        left_out: request.plan.left_out.clone(),
    });
    let outcome = run_steps(&request, &hosts, &delivery, &mut recorder).await;
    recorder.record(Event::RunFinished { outcome });
    Ok(recorder.state)
}

async fn run_steps(
    request: &RunRequest<'_>,
    hosts: &Hosts,
    delivery: &BlobDelivery<'_>,
    recorder: &mut Recorder<'_>,
) -> Outcome {
    let (events, mut event_receiver) = mpsc::unbounded_channel::<(StepId, StepEvent)>();
    let mut stop = request.stop.clone();
    let mut schedule = Schedule::new(request.plan);
    let notes = RunNotes::new(&request.run, &request.command, request.plan);
    let mut running = FuturesUnordered::new();
    let mut sending = FuturesUnordered::new();
    for host in request.plan.hosts() {
        let events = events.clone();
        sending.push(async move {
            let progress = |step: &StepId, done, total| {
                let event = StepEvent::Progress {
                    done,
                    total,
                    doing: "uploading".to_owned(),
                };
                let _ = events.send((step.clone(), event));
            };
            delivery.send_ahead(&host, &progress).await;
        });
    }
    loop {
        let stopped = *stop.borrow();
        for way in schedule.due_ways_back() {
            recorder.record(Event::WayBackStarted {
                host: way.host.clone(),
                steps: way.steps.iter().map(summary).collect(),
            });
        }
        for planned in schedule.startable(stopped) {
            recorder.record(Event::StepStarted {
                step: planned.id.clone(),
            });
            let events = events.clone();
            let notes = &notes;
            running.push(async move {
                let on_event = |event| {
                    let _ = events.send((planned.id.clone(), event));
                };
                (
                    planned,
                    run_step(&request.run, planned, hosts, delivery, notes, &on_event).await,
                )
            });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some((step, event)) = event_receiver.recv() => recorder.record(step_event(step, event)),
            Some((planned, result)) = running.next() => {
                // What the step said comes before how it ended.
                while let Ok((step, event)) = event_receiver.try_recv() {
                    recorder.record(step_event(step, event));
                }
                for event in schedule.finish(planned, result) {
                    recorder.record(event);
                }
            }
            Some(()) = sending.next(), if !sending.is_empty() => {}
            Ok(()) = stop.changed(), if !stopped => {}
        }
    }
    schedule.outcome()
}

/// Folds events into the run's state and hands them on.
struct Recorder<'a> {
    run: RunId,
    state: RunState,
    on_entry: &'a mut (dyn FnMut(&Entry) + Send),
}

impl Recorder<'_> {
    fn record(&mut self, event: Event) {
        let entry = Entry {
            at: Timestamp::now(),
            run: self.run.clone(),
            event,
        };
        self.state.apply(&entry);
        (self.on_entry)(&entry);
    }
}

fn step_event(step: StepId, event: StepEvent) -> Event {
    match event {
        StepEvent::Progress { done, total, doing } => Event::StepProgress {
            step,
            done,
            total,
            doing,
        },
        StepEvent::Log { line } => Event::StepLog { step, line },
    }
}

pub(crate) fn summary(planned: &PlannedStep) -> StepSummary {
    StepSummary {
        id: planned.id.clone(),
        host: planned.host.clone(),
        phase: planned.phase,
        description: planned.step.describe(),
        because: planned.because.clone(),
    }
}

/// Returns the hosts that the plan's steps run on or take something from.
fn connected_hosts(fleet: &Fleet, plan: &Plan) -> Result<Hosts, EngineError> {
    let back = plan.ways_back.iter().flat_map(|way| &way.steps);
    let steps = plan.steps.iter().chain(back);
    let connected = steps.flat_map(hosts_of).map(|name| {
        let host = fleet.host(name).ok_or_else(|| {
            let failures = fleet.unreachable().into_iter();
            EngineError::Unreachable(failures.filter(|it| it.host == *name).collect())
        })?;
        Ok((name.clone(), Arc::clone(host)))
    });
    connected.collect()
}
