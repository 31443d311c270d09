//! A plan: what happens on which host, in which order, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{HostName, LeftOut, Phase, Step, WayBack};

/// Names a step within a plan: `cp-1/etcd/write /etc/kubernetes/manifests/etcd.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// Returns the ID of `step` on `host` in `phase`: the same for the same
    /// step in every plan, so that a resumed run can be compared with its journal.
    pub fn of(host: &HostName, phase: Phase, step: &Step) -> Self {
        Self(format!("{host}/{phase}/{}", step.describe()))
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step in its place: host, phase and what must be done before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// The step's name.
    pub id: StepId,
    /// The host whose agent runs it.
    pub host: HostName,
    /// The phase it belongs to.
    pub phase: Phase,
    /// The verb.
    pub step: Step,
    /// Steps that must be done before it starts.
    pub needs: Vec<StepId>,
    /// Steps after whose change this one runs again, though its own check is content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reruns_after: Vec<StepId>,
    /// Steps without which this one is not needed: it goes unless one of them stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_with: Vec<StepId>,
    /// Why it is in the plan.
    pub because: String,
}

/// Everything that will happen, in an order in which it could happen one by one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The cluster's name.
    pub cluster: String,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// Hosts that were asked for and could not be reached: the plan goes on without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// How hosts come back to what they were when some of the steps fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways_back: Vec<WayBack>,
}

/// What a host's agent says of one step before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "check", rename_all = "kebab-case")]
pub enum Check {
    /// Nothing is to be done.
    Satisfied,
    /// Something is to be done.
    Needed {
        /// Why, in a few words.
        because: String,
    },
}

impl Plan {
    /// Returns the plan without the steps that `checks` found satisfied.
    ///
    /// A step without a check stays, and so does one that must run again
    /// after a step that stays. The reasons come from the checks.
    pub fn without_satisfied(self, checks: &BTreeMap<StepId, Check>) -> Self {
        if self.steps.iter().all(|step| step.only_with.is_empty()) {
            return self.left(checks, &BTreeSet::new());
        }
        let kept: BTreeSet<StepId> = self
            .clone()
            .left(checks, &BTreeSet::new())
            .steps
            .into_iter()
            .map(|step| step.id)
            .collect();
        // What is needed only with others goes with them, and so does what would run again
        // after it.
        let unwanted = self.steps.iter().filter(|step| {
            let mut reasons = step.only_with.iter();
            !step.only_with.is_empty() && !reasons.any(|id| kept.contains(id))
        });
        let unwanted: BTreeSet<StepId> = unwanted.map(|step| step.id.clone()).collect();
        self.left(checks, &unwanted)
    }

    /// Returns the plan without the steps that are satisfied or unwanted.
    fn left(self, checks: &BTreeMap<StepId, Check>, unwanted: &BTreeSet<StepId>) -> Self {
        let mut kept = BTreeSet::new();
        // What a dropped step waited for, its dependants must wait for in its place.
        let mut inherited: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
        let mut steps: Vec<PlannedStep> = Vec::new();
        for mut step in self.steps {
            let mut needs: Vec<StepId> = Vec::new();
            for id in step.needs {
                match inherited.get(&id) {
                    Some(others) => needs.extend(others.iter().cloned()),
                    None => needs.push(id),
                }
            }
            needs.sort();
            needs.dedup();
            step.needs = needs;
            if unwanted.contains(&step.id) {
                inherited.insert(step.id, step.needs);
                continue;
            }
            let cause = step.reruns_after.iter().find(|id| kept.contains(*id));
            match (checks.get(&step.id), cause) {
                (Some(Check::Satisfied), None) => {
                    inherited.insert(step.id, step.needs);
                    continue;
                }
                (Some(Check::Satisfied), Some(id)) => {
                    let cause = steps.iter().find(|other| other.id == *id);
                    let what = cause.map_or_else(String::new, |other| other.step.describe());
                    step.because = format!("after: {what}");
                }
                (Some(Check::Needed { because }), _) => step.because.clone_from(because),
                (None, _) => {}
            }
            step.reruns_after.retain(|id| kept.contains(id));
            kept.insert(step.id.clone());
            steps.push(step);
        }
        Self {
            cluster: self.cluster,
            ways_back: ways_back_of(&steps, self.ways_back),
            steps,
            left_out: self.left_out,
        }
    }

    /// Returns whether somebody who agreed to `other` has agreed to this plan:
    /// each of its steps is in `other` just so, and the same hosts are left out.
    /// Reasons may differ, and steps that somebody else has done may be missing.
    pub fn is_within(&self, other: &Self) -> bool {
        let is_agreed = |step: &PlannedStep| {
            let same = other.steps.iter().find(|found| found.id == step.id);
            same.is_some_and(|found| found.step == step.step)
        };
        let hosts = |plan: &Self| -> BTreeSet<HostName> {
            plan.left_out.iter().map(|it| it.host.clone()).collect()
        };
        self.steps.iter().all(is_agreed) && hosts(self) == hosts(other)
    }

    /// Returns the plan without the steps that `is_left_out` names; what waited
    /// for one of them waits for what that one waited for.
    pub fn without(self, is_left_out: impl Fn(&PlannedStep) -> bool) -> Self {
        let mut inherited: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
        let mut steps: Vec<PlannedStep> = Vec::new();
        for mut step in self.steps {
            let mut needs: BTreeSet<StepId> = BTreeSet::new();
            for id in step.needs {
                match inherited.get(&id) {
                    Some(others) => needs.extend(others.iter().cloned()),
                    None => {
                        needs.insert(id);
                    }
                }
            }
            step.needs = needs.into_iter().collect();
            if is_left_out(&step) {
                inherited.insert(step.id, step.needs);
                continue;
            }
            step.reruns_after.retain(|id| !inherited.contains_key(id));
            steps.push(step);
        }
        Self {
            cluster: self.cluster,
            ways_back: ways_back_of(&steps, self.ways_back),
            steps,
            left_out: self.left_out,
        }
    }

    /// Returns whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the hosts that have steps, in the order of their first step.
    pub fn hosts(&self) -> Vec<HostName> {
        let mut hosts: Vec<HostName> = Vec::new();
        for step in &self.steps {
            if !hosts.contains(&step.host) {
                hosts.push(step.host.clone());
            }
        }
        hosts
    }
}

/// Returns the ways back that still guard any of `steps`, and of their guards those.
fn ways_back_of(steps: &[PlannedStep], mut all: Vec<WayBack>) -> Vec<WayBack> {
    let kept: BTreeSet<&StepId> = steps.iter().map(|step| &step.id).collect();
    for way in &mut all {
        way.guards.retain(|id| kept.contains(id));
    }
    all.retain(|way| !way.guards.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::StopUnit;

    fn step(unit: &str, needs: &[&PlannedStep]) -> PlannedStep {
        let host: HostName = "w-1".parse().unwrap();
        let step = Step::StopUnit(StopUnit { unit: unit.into() });
        PlannedStep {
            id: StepId::of(&host, Phase::CleanupNode, &step),
            host,
            phase: Phase::CleanupNode,
            step,
            needs: needs.iter().map(|step| step.id.clone()).collect(),
            reruns_after: Vec::new(),
            only_with: Vec::new(),
            because: String::new(),
        }
    }

    fn plan_of(steps: Vec<PlannedStep>) -> Plan {
        Plan {
            cluster: "c".into(),
            steps,
            ..Plan::default()
        }
    }

    #[test]
    fn a_plan_is_agreed_to_when_it_does_no_more_than_the_one_that_was_shown() {
        let (first, second) = (step("first", &[]), step("second", &[]));
        let shown = plan_of(vec![first.clone(), second.clone()]);
        let mut less = plan_of(vec![second.clone()]);
        less.steps[0].because = "another reason".into();
        assert!(less.is_within(&shown));
        assert!(!shown.is_within(&less));
        let mut other = second;
        other.step = Step::StopUnit(StopUnit {
            unit: "third".into(),
        });
        assert!(!plan_of(vec![other]).is_within(&shown));
        less.left_out.push(LeftOut {
            host: "w-2".parse().unwrap(),
            failure: crate::Failure::because("it is gone"),
        });
        assert!(!less.is_within(&shown));
    }

    #[test]
    fn plans_without_a_list_of_hosts_left_out_are_still_read() {
        let plan: Plan = serde_json::from_str(r#"{"cluster":"c","steps":[]}"#).unwrap();
        assert_eq!(plan, plan_of(Vec::new()));
    }

    #[test]
    fn order_holds_across_steps_that_are_dropped() {
        let first = step("first", &[]);
        let second = step("second", &[&first]);
        let third = step("third", &[&second]);
        let last = step("last", &[&third]);
        let checks = [&second, &third].map(|step| (step.id.clone(), Check::Satisfied));
        let steps = vec![first.clone(), second, third, last];
        let plan = plan_of(steps);
        let left = plan.without_satisfied(&checks.into());
        assert_eq!(left.steps.len(), 2);
        assert_eq!(left.steps[1].needs, [first.id]);
    }

    #[test]
    fn order_holds_across_steps_that_are_left_out() {
        let first = step("first", &[]);
        let second = step("second", &[&first]);
        let third = step("third", &[&second]);
        let mut last = step("last", &[&third]);
        last.reruns_after = vec![second.id.clone(), third.id.clone()];
        let plan = plan_of(vec![first.clone(), second.clone(), third.clone(), last]);
        let left = plan.without(|step| step.id == third.id);
        assert_eq!(left.steps.len(), 3);
        assert_eq!(left.steps[2].needs, std::slice::from_ref(&second.id));
        assert_eq!(left.steps[2].reruns_after, [second.id]);
    }

    #[test]
    fn what_is_needed_only_with_others_goes_with_them_and_so_does_the_way_back() {
        let first = step("first", &[]);
        let mut drain = step("drain", &[&first]);
        let change = step("change", &[&drain]);
        drain.only_with = vec![change.id.clone()];
        let last = step("last", &[&change]);
        let mut plan = plan_of(vec![
            first.clone(),
            drain.clone(),
            change.clone(),
            last.clone(),
        ]);
        plan.ways_back = vec![WayBack {
            host: first.host.clone(),
            guards: vec![drain.id.clone(), change.id.clone()],
            steps: vec![step("back", &[])],
        }];
        let all = plan.clone().without_satisfied(&BTreeMap::new());
        assert_eq!(all, plan, "no check is content");
        let checks = [(change.id, Check::Satisfied)];
        let left = plan.without_satisfied(&checks.into());
        let ids: Vec<&StepId> = left.steps.iter().map(|step| &step.id).collect();
        assert_eq!(ids, [&first.id, &last.id]);
        assert_eq!(left.steps[1].needs, std::slice::from_ref(&first.id));
        assert!(left.ways_back.is_empty());
    }
}
