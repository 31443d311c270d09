//! Phases that a run leaves out, as `--skip-phases` names them.

use slipway_api::step::Condition;
use slipway_api::{Phase, Plan, PlannedStep, Step};

/// The phase of the checks, which are no steps.
const PREFLIGHT: &str = "preflight";

/// Phases, or single parts of phases, that a run leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkippedPhases {
    preflight: bool,
    phases: Vec<(Phase, Option<String>)>,
}

/// Slipway has no such phase.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no phase `{0}`")]
pub struct UnknownPhase(String);

impl UnknownPhase {
    /// Returns the phases that there are.
    pub fn help() -> String {
        let names: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
        format!(
            "phases are {PREFLIGHT}, {}; a part of one is named behind a slash: `addon/kube-proxy`",
            names.join(", ")
        )
    }
}

impl SkippedPhases {
    /// Parses names such as `preflight`, `addon` or `addon/kube-proxy`.
    ///
    /// # Errors
    /// A name is no phase's.
    pub fn parse(names: &[String]) -> Result<Self, UnknownPhase> {
        let mut skipped = Self::default();
        for name in names {
            if name == PREFLIGHT {
                skipped.preflight = true;
                continue;
            }
            let (phase, part) = match name.split_once('/') {
                Some((phase, part)) => (phase, Some(part.to_owned())),
                None => (name.as_str(), None),
            };
            let found = Phase::ALL.into_iter().find(|it| it.as_str() == phase);
            let phase = found.ok_or_else(|| UnknownPhase(name.clone()))?;
            skipped.phases.push((phase, part));
        }
        Ok(skipped)
    }

    /// Returns whether the checks before a run are left out.
    pub fn has_preflight(&self) -> bool {
        self.preflight
    }

    /// Returns what is left of a plan.
    pub fn without(&self, plan: Plan) -> Plan {
        plan.without(|step| self.has(step))
    }

    fn has(&self, planned: &PlannedStep) -> bool {
        self.phases.iter().any(|(phase, part)| {
            let is_part = |part: &String| part_name(&planned.step) == Some(part.as_str());
            *phase == planned.phase && part.as_ref().is_none_or(is_part)
        })
    }
}

/// Returns the name by which a step is a part of its phase, as kubeadm names
/// parts where it has them: `certs/apiserver`, `addon/coredns`.
fn part_name(step: &Step) -> Option<&str> {
    if let Step::WaitFor(wait) = step {
        let Condition::DeploymentAvailable { name, .. } = &wait.condition else {
            return None;
        };
        return Some(name);
    }
    if let Step::ApplyObjects(step) = step {
        return Some(&step.name);
    }
    if let Step::EnsureCertificate(step) = step {
        return Some(&step.name);
    }
    if let Step::EnsureAuthority(step) = step {
        return Some(&step.name);
    }
    if let Step::EnsureKubeconfig(step) = step {
        return Some(&step.name);
    }
    None
}
