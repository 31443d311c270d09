//! What hosts and cluster are like, and what is left to do on them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{Check, Facts, HostName, HostState, LeftOut, Plan, Sha256Digest, Step, StepId};
use slipway_planner::PlanError;

use crate::observe::unexpected;
use crate::{EngineError, Fleet};

/// What hosts and cluster are like, and what is left to do on them.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The facts that the plan is made from.
    pub facts: Facts,
    /// What is left to do.
    pub plan: Plan,
    /// How many steps have nothing to do.
    pub satisfied: usize,
    /// The blobs that belong on each host, whether or not anything is left to do with them.
    pub blobs: BTreeMap<HostName, BTreeSet<Sha256Digest>>,
}

impl Survey {
    /// Plans with `plan` and asks every host which of its steps have anything
    /// to do, all at once. A host that does not answer is left out, and the
    /// plan is made again without it.
    ///
    /// # Errors
    /// No plan can be made, or the hosts without which there is none cannot be reached.
    pub async fn take(
        fleet: &mut Fleet,
        mut facts: Facts,
        plan: impl Fn(&Facts) -> Result<Plan, PlanError>,
    ) -> Result<Self, EngineError> {
        loop {
            let desired = match plan(&facts) {
                Err(PlanError::HostNotReached { .. }) => {
                    return Err(EngineError::Unreachable(fleet.unreachable()));
                }
                desired => desired?,
            };
            let total = desired.steps.len();
            match check(fleet, &desired).await {
                Ok(checks) => {
                    let blobs = blobs_of(&desired);
                    let plan = desired.without_satisfied(&checks);
                    let satisfied = total - plan.steps.len();
                    return Ok(Self {
                        facts,
                        plan,
                        satisfied,
                        blobs,
                    });
                }
                Err(lost) => {
                    for LeftOut { host, failure } in lost {
                        let state = HostState::Unreached {
                            failure: failure.clone(),
                        };
                        facts.hosts.insert(host.clone(), state);
                        fleet.leave_out(host, failure);
                    }
                }
            }
        }
    }
}

fn blobs_of(plan: &Plan) -> BTreeMap<HostName, BTreeSet<Sha256Digest>> {
    let mut by_host: BTreeMap<HostName, BTreeSet<Sha256Digest>> = BTreeMap::new();
    for step in &plan.steps {
        let blobs = step.step.blobs();
        if !blobs.is_empty() {
            let known = by_host.entry(step.host.clone()).or_default();
            known.extend(blobs.iter().map(|blob| blob.sha256));
        }
    }
    by_host
}

/// Returns what the hosts' checks say, or the hosts that say nothing.
async fn check(fleet: &Fleet, plan: &Plan) -> Result<BTreeMap<StepId, Check>, Vec<LeftOut>> {
    let mut by_host: BTreeMap<HostName, Vec<(StepId, Step)>> = BTreeMap::new();
    for step in &plan.steps {
        let steps = by_host.entry(step.host.clone()).or_default();
        steps.push((step.id.clone(), step.step.clone()));
    }
    let asking = by_host.into_iter().map(|(name, steps)| async move {
        let host = fleet
            .host(&name)
            .expect("plans have steps only on hosts whose facts are known");
        let failure = match host.request(Request::CheckSteps { steps }, &|_| {}).await {
            Ok(Reply::Checks { checks }) => return Ok(checks),
            Ok(other) => unexpected(&other),
            Err(error) => error.to_failure(),
        };
        Err(LeftOut {
            host: name,
            failure,
        })
    });
    let mut checks = BTreeMap::new();
    let mut lost = Vec::new();
    for found in join_all(asking).await {
        match found {
            Ok(found) => checks.extend(found),
            Err(host) => lost.push(host),
        }
    }
    if lost.is_empty() {
        Ok(checks)
    } else {
        Err(lost)
    }
}
