//! Runs of a plan that are cut off, at their hosts' requests or at the journal's entries, and run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use slipway_api::{Entry, Event, Facts, Outcome, Plan};
use slipway_hosts::{FakeHost, Fault};
use tokio::sync::Notify;

use crate::fakes::{applied, run_plan_of, run_plan_telling};

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
    /// Names what only a run that was cut off does.
    pub is_extra: fn(&str) -> bool,
}

impl Cuts {
    /// Kills every host before and after each of its requests, and the workstation at each
    /// entry of its journal; runs the command again, and panics unless it ends as a run that
    /// nobody cut off.
    pub async fn end_the_same(&self) {
        let whole = (self.hosts)();
        let mut entries = 0;
        let mut on_entry = |entry: &Entry| entries += usize::from(is_turn(entry));
        let run = run_plan_telling(&whole, &self.seen, &self.plan, &mut on_entry);
        let state = run.await.unwrap();
        assert_eq!(state.outcome, Some(Outcome::Succeeded));
        (self.assert_order)(&whole, "uncut");
        for victim in 0..whole.len() {
            // The first request is the look at the host: without it there is no plan.
            for nth in 1..whole[victim].requests().len() {
                for fault in [Fault::DieBefore, Fault::DieAfter] {
                    let what = format!("host {victim} at {nth}, {fault:?}");
                    let hosts = (self.hosts)();
                    hosts[victim].fail_at(nth, fault);
                    if let Ok(state) = run_plan_of(&hosts, &self.seen, &self.plan).await {
                        assert!(state.outcome.is_some());
                    }
                    hosts[victim].revive();
                    self.end_as(&whole, &hosts, &what).await;
                }
            }
        }
        for nth in 1..=entries {
            let hosts = self.killed_at(nth).await;
            let what = format!("workstation at entry {nth}");
            self.end_as(&whole, &hosts, &what).await;
        }
    }

    /// Returns the hosts as the workstation leaves them that is killed while it writes the
    /// `nth` entry: nothing that it asks from there on reaches anybody.
    async fn killed_at(&self, nth: usize) -> Vec<FakeHost> {
        let is_gone = Arc::new(AtomicBool::new(false));
        let silent = |host: FakeHost| {
            let is_gone = Arc::clone(&is_gone);
            host.without_answer_to(move |_| is_gone.load(Ordering::Relaxed))
        };
        let hosts: Vec<FakeHost> = (self.hosts)().into_iter().map(silent).collect();
        let killed = Notify::new();
        let mut entries = 0;
        let mut on_entry = |entry: &Entry| {
            entries += usize::from(is_turn(entry));
            if entries == nth {
                is_gone.store(true, Ordering::Relaxed);
                killed.notify_one();
            }
        };
        let run = run_plan_telling(&hosts, &self.seen, &self.plan, &mut on_entry);
        tokio::select! {
            biased;
            // A run that has nothing left to ask ends by itself.
            ended = run => assert!(ended.is_ok()),
            () = killed.notified() => {}
        }
        is_gone.store(false, Ordering::Relaxed);
        hosts
    }

    /// Runs the command again on hosts that a cut has left.
    async fn end_as(&self, whole: &[FakeHost], hosts: &[FakeHost], what: &str) {
        (self.assert_order)(hosts, what);
        let again = (self.again)(hosts);
        let (seen, plan) = again
            .as_ref()
            .map_or((&self.seen, &self.plan), |(seen, plan)| (seen, plan));
        let state = run_plan_of(hosts, seen, plan).await.unwrap();
        assert_eq!(state.outcome, Some(Outcome::Succeeded), "{what}");
        (self.assert_order)(hosts, what);
        let mut found = applied(hosts);
        for steps in &mut found {
            steps.retain(|step| !(self.is_extra)(step));
        }
        assert_eq!(found, applied(whole), "{what}");
    }
}

/// Whether hosts may be in another state at this entry than at the one before it.
fn is_turn(entry: &Entry) -> bool {
    !matches!(
        entry.event,
        Event::StepLog { .. } | Event::StepProgress { .. }
    )
}
