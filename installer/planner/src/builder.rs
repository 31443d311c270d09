//! Puts steps in order.

use slipway_api::{HostName, LeftOut, Phase, Plan, PlannedStep, Step, StepId};

/// Collects steps; what is added later may need what was added before.
#[derive(Default)]
pub(crate) struct PlanBuilder {
    steps: Vec<PlannedStep>,
}

impl PlanBuilder {
    /// Adds a step and returns its ID.
    pub fn add(&mut self, host: &HostName, phase: Phase, step: Step, needs: &[StepId]) -> StepId {
        self.add_rerun(host, phase, step, needs, &[])
    }

    /// Adds a step that also runs when one of `after` changes something.
    pub fn add_rerun(
        &mut self,
        host: &HostName,
        phase: Phase,
        step: Step,
        needs: &[StepId],
        after: &[StepId],
    ) -> StepId {
        let id = StepId::of(host, phase, &step);
        debug_assert!(
            self.steps.iter().all(|other| other.id != id),
            "two steps are called {id}"
        );
        let mut all: Vec<StepId> = needs.to_vec();
        all.extend(after.iter().filter(|id| !needs.contains(id)).cloned());
        self.steps.push(PlannedStep {
            id: id.clone(),
            host: host.clone(),
            phase,
            step,
            needs: all,
            reruns_after: after.to_vec(),
            only_with: Vec::new(),
            because: "it is part of the cluster".to_owned(),
        });
        id
    }

    /// Adds steps one after the other, the first after `needs`; returns what the
    /// last leaves to wait for. systemd forgets units once their files are gone.
    pub fn add_in_turn(
        &mut self,
        host: &HostName,
        phase: Phase,
        steps: Vec<Step>,
        needs: &[StepId],
    ) -> Vec<StepId> {
        let mut before = needs.to_vec();
        for step in steps {
            let after = match matches!(step, Step::ForgetUnits(_)) {
                true => before.clone(),
                false => Vec::new(),
            };
            before = vec![self.add_rerun(host, phase, step, &before, &after)];
        }
        before
    }

    /// Returns the plan, which goes on without the hosts that are `left_out`.
    pub fn finish(self, cluster: &str, left_out: Vec<LeftOut>) -> Plan {
        Plan {
            cluster: cluster.to_owned(),
            steps: self.steps,
            left_out,
            ways_back: Vec::new(),
        }
    }
}
