//! Which steps of a run are waiting, running and done, and which come next.

use std::collections::{BTreeMap, BTreeSet};

use slipway_api::{Event, HostName, LeftOut, Outcome, Plan, PlannedStep, StepId, WayBack};

use crate::run_step::hosts_of;
use crate::step_error::StepError;

/// How many steps run on one host at a time.
const STEPS_PER_HOST: usize = 6;

/// Which steps are waiting, running and done.
pub(crate) struct Schedule<'a> {
    waiting: Vec<&'a PlannedStep>,
    running: BTreeSet<&'a StepId>,
    done: BTreeSet<&'a StepId>,
    busy: BTreeMap<&'a HostName, usize>,
    lost: BTreeSet<HostName>,
    failed: bool,
    ways_back: Vec<GuardedPart<'a>>,
}

/// Steps of a plan that go together.
struct GuardedPart<'a> {
    way: &'a WayBack,
    guards: BTreeSet<&'a StepId>,
    has_begun: bool,
    has_failed: bool,
    /// Whether its host is on the way back.
    is_undone: bool,
}

impl<'a> Schedule<'a> {
    /// Returns the schedule of a plan of which nothing has begun.
    pub fn new(plan: &'a Plan) -> Self {
        let part = |way: &'a WayBack| GuardedPart {
            way,
            guards: way.guards.iter().collect(),
            has_begun: false,
            has_failed: false,
            is_undone: false,
        };
        Self {
            waiting: plan.steps.iter().collect(),
            running: BTreeSet::new(),
            done: BTreeSet::new(),
            busy: BTreeMap::new(),
            lost: BTreeSet::new(),
            failed: false,
            ways_back: plan.ways_back.iter().map(part).collect(),
        }
    }

    /// Takes out the steps that can start now. Once the run is to stop, these are only steps of
    /// parts that have begun: no host is left between two states.
    pub fn startable(&mut self, is_stopping: bool) -> Vec<&'a PlannedStep> {
        let mut found = Vec::new();
        let Self {
            waiting,
            running,
            done,
            busy,
            lost,
            ways_back,
            ..
        } = self;
        waiting.retain(|&planned| {
            let own = ways_back.iter_mut();
            let mut own = own.filter(|part| part.guards.contains(&planned.id));
            let part = own.next();
            let is_wanted = match &part {
                Some(part) => !part.has_failed && (!is_stopping || part.has_begun),
                None => !is_stopping || is_back_step(planned),
            };
            let is_free = busy.get(&planned.host).copied().unwrap_or(0) < STEPS_PER_HOST;
            let starts = is_wanted
                && is_free
                && planned.needs.iter().all(|id| done.contains(id))
                && hosts_of(planned).all(|host| !lost.contains(host));
            if starts {
                if let Some(part) = part {
                    part.has_begun = true;
                }
                *busy.entry(&planned.host).or_default() += 1;
                running.insert(&planned.id);
                found.push(planned);
            }
            !starts
        });
        found
    }

    /// Returns the ways back that begin now: a step that each guards has failed, and none runs
    /// any more. Their steps are waiting then.
    pub fn due_ways_back(&mut self) -> Vec<&'a WayBack> {
        let mut due = Vec::new();
        for part in &mut self.ways_back {
            let is_at_rest = part.guards.is_disjoint(&self.running);
            if part.has_failed && !part.is_undone && is_at_rest {
                part.is_undone = true;
                self.waiting.extend(&part.way.steps);
                due.push(part.way);
            }
        }
        due
    }

    /// Takes in how a step ended and returns what is to be told about it.
    pub fn finish(
        &mut self,
        planned: &'a PlannedStep,
        result: Result<bool, StepError>,
    ) -> Vec<Event> {
        if let Some(count) = self.busy.get_mut(&planned.host) {
            *count -= 1;
        }
        self.running.remove(&planned.id);
        let step = planned.id.clone();
        match result {
            Ok(changed) => {
                self.done.insert(&planned.id);
                vec![Event::StepFinished { step, changed }]
            }
            Err(StepError { failure, lost }) => {
                self.failed = true;
                let mut parts = self.ways_back.iter_mut();
                if let Some(part) = parts.find(|part| part.guards.contains(&planned.id)) {
                    part.has_failed = true;
                }
                let newly_lost = lost.filter(|host| self.lost.insert(host.clone()));
                let lost = newly_lost.map(|host| {
                    let failure = failure.clone();
                    Event::HostLost(LeftOut { host, failure })
                });
                let failed = Event::StepFailed { step, failure };
                std::iter::once(failed).chain(lost).collect()
            }
        }
    }

    /// Returns how the run has ended, once nothing runs and nothing can start.
    pub fn outcome(&self) -> Outcome {
        if self.failed {
            Outcome::Failed
        } else if self.waiting.is_empty() {
            Outcome::Succeeded
        } else {
            Outcome::Interrupted
        }
    }
}

/// Returns whether a step is part of a way back: these have a phase of their own.
fn is_back_step(planned: &PlannedStep) -> bool {
    planned.phase == slipway_api::Phase::PutBack
}
