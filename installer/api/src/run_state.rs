//! The state of a run: a pure fold over its events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Entry, Event, Failure, LeftOut, Outcome, RunId, StepId, StepSummary};

/// How many log lines of a step are kept.
const LOG_LINES: usize = 20;

/// Everything that can be shown of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunState {
    /// The run, once it has started.
    pub run: Option<RunId>,
    /// The cluster's name.
    pub cluster: String,
    /// The command.
    pub command: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Its steps, in the plan's order.
    pub steps: Vec<StepState>,
    /// Hosts that were left out, or lost on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// The state of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepState {
    /// What it is.
    pub summary: StepSummary,
    /// How far it is.
    pub progress: Progress,
    /// Its last log lines.
    pub log: Vec<String>,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "kebab-case")]
pub enum Progress {
    /// Not begun.
    Waiting,
    /// Under way.
    Running {
        /// Since when.
        since: Timestamp,
        /// Done and total, where the step counts.
        counted: Option<(u64, u64)>,
        /// What is being done now.
        doing: String,
    },
    /// Done.
    Done {
        /// Whether it changed anything.
        changed: bool,
        /// How long it took, in milliseconds.
        milliseconds: i64,
    },
    /// Failed.
    Failed {
        /// Why.
        failure: Failure,
        /// How long it took, in milliseconds.
        milliseconds: i64,
    },
}

impl RunState {
    /// Takes in one journal entry. Entries about unknown steps change nothing.
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted {
                cluster,
                command,
                steps,
                left_out,
            } => {
                self.left_out.clone_from(left_out);
                self.run = Some(entry.run.clone());
                self.cluster.clone_from(cluster);
                self.command.clone_from(command);
                self.started_at = Some(entry.at);
                self.steps = steps.iter().map(waiting).collect();
            }
            Event::WayBackStarted { steps, .. } => self.steps.extend(steps.iter().map(waiting)),
            Event::HostLost(lost) => self.left_out.push(lost.clone()),
            Event::StepStarted { step } => self.set(step, |_| Progress::Running {
                since: entry.at,
                counted: None,
                doing: String::new(),
            }),
            // Blobs travel ahead of their steps: only a step under way shows it.
            Event::StepProgress {
                step,
                done,
                total,
                doing,
            } => self.set(step, |old| match old {
                Progress::Running { since, .. } => Progress::Running {
                    since: *since,
                    counted: Some((*done, *total)),
                    doing: doing.clone(),
                },
                Progress::Waiting | Progress::Done { .. } | Progress::Failed { .. } => old.clone(),
            }),
            Event::StepLog { step, line } => {
                if let Some(state) = self.step_mut(step) {
                    if state.log.len() == LOG_LINES {
                        state.log.remove(0);
                    }
                    state.log.push(line.clone());
                }
            }
            Event::StepFinished { step, changed } => self.set(step, |old| Progress::Done {
                changed: *changed,
                milliseconds: old.milliseconds_until(entry.at),
            }),
            Event::StepFailed { step, failure } => self.set(step, |old| Progress::Failed {
                failure: failure.clone(),
                milliseconds: old.milliseconds_until(entry.at),
            }),
            Event::RunFinished { outcome } => {
                self.outcome = Some(*outcome);
                self.finished_at = Some(entry.at);
            }
        }
    }

    /// Returns how many steps are done.
    pub fn done(&self) -> usize {
        let is_done = |step: &&StepState| matches!(step.progress, Progress::Done { .. });
        self.steps.iter().filter(is_done).count()
    }

    /// Returns the steps that failed, with their failures.
    pub fn failures(&self) -> impl Iterator<Item = (&StepSummary, &Failure)> {
        self.steps.iter().filter_map(|step| match &step.progress {
            Progress::Failed { failure, .. } => Some((&step.summary, failure)),
            Progress::Waiting | Progress::Running { .. } | Progress::Done { .. } => None,
        })
    }

    fn step_mut(&mut self, id: &StepId) -> Option<&mut StepState> {
        self.steps.iter_mut().find(|step| step.summary.id == *id)
    }

    fn set(&mut self, id: &StepId, next: impl FnOnce(&Progress) -> Progress) {
        if let Some(state) = self.step_mut(id) {
            state.progress = next(&state.progress);
        }
    }
}

fn waiting(summary: &StepSummary) -> StepState {
    StepState {
        summary: summary.clone(),
        progress: Progress::Waiting,
        log: Vec::new(),
    }
}

impl Progress {
    fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Running { since, .. } => Some(*since),
            Self::Waiting | Self::Done { .. } | Self::Failed { .. } => None,
        }
    }

    fn milliseconds_until(&self, at: Timestamp) -> i64 {
        self.since()
            .map_or(0, |since| at.as_millisecond() - since.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostName, Phase, Step, step::StopUnit};

    #[test]
    fn a_step_that_fails_keeps_its_cause_and_duration() {
        let host: HostName = "w-1".parse().unwrap();
        let step = Step::StopUnit(StopUnit {
            unit: "kubelet.service".into(),
        });
        let id = StepId::of(&host, Phase::CleanupNode, &step);
        let run = RunId::new(Timestamp::UNIX_EPOCH, 7);
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut state = RunState::default();
        let events = [
            Event::RunStarted {
                cluster: "c".into(),
                command: "reset".into(),
                steps: vec![StepSummary {
                    id: id.clone(),
                    host,
                    phase: Phase::CleanupNode,
                    description: step.describe(),
                    because: "asked for".into(),
                }],
                left_out: Vec::new(),
            },
            Event::StepStarted { step: id.clone() },
            Event::StepFailed {
                step: id.clone(),
                failure: Failure::because("no"),
            },
            Event::HostLost(LeftOut {
                host: "w-1".parse().unwrap(),
                failure: Failure::because("gone"),
            }),
            Event::RunFinished {
                outcome: Outcome::Failed,
            },
        ];
        for (second, event) in events.into_iter().enumerate() {
            state.apply(&Entry {
                at: at(second as i64),
                run: run.clone(),
                event,
            });
        }
        assert_eq!(state.outcome, Some(Outcome::Failed));
        assert_eq!(state.failures().count(), 1);
        assert_eq!(state.left_out[0].failure, Failure::because("gone"));
        let expected = Progress::Failed {
            failure: Failure::because("no"),
            milliseconds: 1000,
        };
        assert_eq!(state.steps[0].progress, expected);
    }
}
