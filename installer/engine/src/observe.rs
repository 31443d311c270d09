//! Looks at hosts and cluster: facts first, then what each step would have to do.

use std::collections::BTreeMap;

use futures::future::join_all;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    Check, ClusterFacts, ClusterSpec, Facts, HostName, HostState, Plan, Step, StepId,
};

use crate::fleet::host_error;
use crate::{EngineError, Fleet};

/// Gathers the facts of all hosts at once, and the cluster's from its first
/// control-plane host. What cannot be had is left out, with the reason.
pub async fn gather_facts(fleet: &Fleet, spec: &ClusterSpec) -> Facts {
    let gathering = fleet.iter().map(|(name, host)| async move {
        let state = match host {
            Err(failure) => HostState::Unreached {
                failure: failure.clone(),
            },
            Ok(host) => match host.request(Request::GatherFacts, &|_| {}).await {
                Ok(Reply::Facts(facts)) => HostState::Reached(facts),
                Ok(other) => HostState::Unreached {
                    failure: unexpected(&other),
                },
                Err(error) => HostState::Unreached {
                    failure: error.to_failure(),
                },
            },
        };
        (name.clone(), state)
    });
    let (hosts, cluster) = futures::join!(join_all(gathering), gather_cluster(fleet, spec));
    Facts {
        hosts: hosts.into_iter().collect(),
        cluster,
    }
}

async fn gather_cluster(fleet: &Fleet, spec: &ClusterSpec) -> Option<ClusterFacts> {
    let host = fleet.host(&spec.first_control_plane().name)?;
    // An API server that is down is no cluster fact: its host's facts tell.
    match host.request(Request::GatherClusterFacts, &|_| {}).await {
        Ok(Reply::ClusterFacts { facts }) => facts,
        Ok(_) | Err(_) => None,
    }
}

/// Asks every host which of its steps have anything to do, all at once, and
/// returns the plan without the others.
///
/// # Errors
/// A host that has steps was not reached or is lost.
pub async fn pending_plan(fleet: &Fleet, plan: Plan) -> Result<Plan, EngineError> {
    let mut by_host: BTreeMap<HostName, Vec<(StepId, Step)>> = BTreeMap::new();
    for step in &plan.steps {
        let steps = by_host.entry(step.host.clone()).or_default();
        steps.push((step.id.clone(), step.step.clone()));
    }
    let asking = by_host.into_iter().map(|(name, steps)| async move {
        let Some(host) = fleet.host(&name) else {
            return Err(EngineError::Unreachable(
                fleet
                    .unreachable()
                    .into_iter()
                    .filter(|(other, _)| *other == name)
                    .collect(),
            ));
        };
        match host.request(Request::CheckSteps { steps }, &|_| {}).await {
            Ok(Reply::Checks { checks }) => Ok(checks),
            Ok(other) => Err(EngineError::Host {
                host: name,
                failure: Box::new(unexpected(&other)),
            }),
            Err(error) => Err(host_error(&name, &error)),
        }
    });
    let mut checks: BTreeMap<StepId, Check> = BTreeMap::new();
    for found in join_all(asking).await {
        checks.extend(found?);
    }
    Ok(plan.without_satisfied(&checks))
}

/// Returns the failure of a reply that answers another question.
pub(crate) fn unexpected(reply: &Reply) -> slipway_api::Failure {
    slipway_api::Failure::because(format!(
        "the agent answered with {reply:?}, which was not asked"
    ))
}
