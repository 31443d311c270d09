//! Runs of a plan that are cut off at their hosts' requests, and run again.

use slipway_api::{Facts, Outcome, Plan};
use slipway_hosts::{FakeHost, Fault};

use crate::fakes::{applied, run_plan_of};

/// A plan whose runs are cut off.
pub struct Cuts {
    /// What was seen of the hosts.
    pub seen: Facts,
    /// The plan.
    pub plan: Plan,
    /// Returns the hosts as they are before anything is done.
    pub hosts: fn() -> Vec<FakeHost>,
    /// Panics unless on hosts that were left at some point, named in a few words, everything
    /// is in an order that loses nothing.
    pub assert_order: fn(&[FakeHost], &str),
    /// Returns what the same command sees and plans after a cut; none where it is the same.
    pub again: fn(&[FakeHost]) -> Option<(Facts, Plan)>,
    /// Every how many-th request is cut off at.
    pub stride: usize,
}

impl Cuts {
    /// Kills every host before and after its requests, runs the command again, and panics
    /// unless it ends as a run that nobody cut off.
    pub async fn end_the_same(&self) {
        let whole = (self.hosts)();
        let state = run_plan_of(&whole, &self.seen, &self.plan).await.unwrap();
        assert_eq!(state.outcome, Some(Outcome::Succeeded));
        (self.assert_order)(&whole, "uncut");
        for victim in 0..whole.len() {
            let count = whole[victim].requests().len();
            for nth in (1..count).step_by(self.stride) {
                for fault in [Fault::DieBefore, Fault::DieAfter] {
                    let what = format!("host {victim} at {nth}, {fault:?}");
                    self.end_as(&whole, victim, nth, fault, &what).await;
                }
            }
        }
    }

    async fn end_as(
        &self,
        whole: &[FakeHost],
        victim: usize,
        nth: usize,
        fault: Fault,
        what: &str,
    ) {
        let hosts = (self.hosts)();
        hosts[victim].fail_at(nth, fault);
        if let Ok(state) = run_plan_of(&hosts, &self.seen, &self.plan).await {
            assert!(state.outcome.is_some());
        }
        (self.assert_order)(&hosts, what);
        hosts[victim].revive();
        let again = (self.again)(&hosts);
        let (seen, plan) = again
            .as_ref()
            .map_or((&self.seen, &self.plan), |(seen, plan)| (seen, plan));
        let state = run_plan_of(&hosts, seen, plan).await.unwrap();
        assert_eq!(state.outcome, Some(Outcome::Succeeded), "{what}");
        (self.assert_order)(&hosts, what);
        assert_eq!(applied(&hosts), applied(whole), "{what}");
    }
}
