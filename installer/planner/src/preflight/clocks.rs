//! Clocks: each host's against this machine's, and the hosts' against each other.

use slipway_api::{ClockOffset, Facts, Finding, HostName, Severity};

use super::finding;
use crate::Scope;

/// From here on certificates and leases begin to be at odds, in milliseconds.
const WARN_MILLIS: i64 = 1_000;
/// From here on nothing is started.
const FAIL_MILLIS: i64 = 5_000;

const ID: &str = "ClockOffset";
const WHY: &str =
    "new certificates and tokens are refused as not valid yet, and leases run out too early";
const HELP: &str = "`timedatectl set-ntp true`, or `chronyc makestep` where chrony runs; `timedatectl` shows the state";

/// A host's clock, as far from this machine's as it is for certain.
struct Reading<'a> {
    host: &'a HostName,
    offset: ClockOffset,
}

impl Reading<'_> {
    /// Returns the offset without what the round trip may have added.
    fn certain_millis(&self) -> i64 {
        certain(self.offset.ahead_millis, self.half_trip())
    }

    fn half_trip(&self) -> i64 {
        i64::try_from(self.offset.round_trip_millis / 2).unwrap_or(i64::MAX)
    }
}

pub(super) fn check(facts: &Facts, scope: &Scope, found: &mut Vec<Finding>) {
    let readings: Vec<Reading<'_>> = facts
        .probes
        .iter()
        .filter(|(host, _)| scope.includes(host))
        .filter_map(|(host, probes)| {
            let offset = probes.clock?;
            Some(Reading { host, offset })
        })
        .collect();
    let spread = spread_millis(&readings);
    let all_differ = readings
        .iter()
        .all(|reading| severity(reading.certain_millis()).is_some());
    if readings.len() > 1 && all_differ && severity(spread).is_none() {
        // Then it is the ruler that is wrong.
        let ahead = seconds(readings[0].offset.ahead_millis);
        found.push(finding(
            ID,
            Severity::Warning,
            None,
            format!("all hosts' clocks are {ahead} this machine's, and agree with each other"),
            "this machine's clock is probably wrong; nodes need theirs to be alike, which they are",
            "set this machine's clock: `timedatectl set-ntp true`",
        ));
        return;
    }
    let mut worst = None;
    for reading in &readings {
        if let Some(severity) = severity(reading.certain_millis()) {
            worst = worst.max(Some(severity));
            let seen = format!(
                "its clock is {} this machine's (asked in {} ms)",
                seconds(reading.offset.ahead_millis),
                reading.offset.round_trip_millis
            );
            found.push(finding(ID, severity, Some(reading.host), seen, WHY, HELP));
        }
    }
    if let Some(severity) = severity(spread).filter(|severity| Some(*severity) > worst) {
        let by_offset = |reading: &&Reading<'_>| reading.offset.ahead_millis;
        let (first, last) = (
            readings.iter().max_by_key(by_offset),
            readings.iter().min_by_key(by_offset),
        );
        if let (Some(first), Some(last)) = (first, last) {
            let apart = first
                .offset
                .ahead_millis
                .saturating_sub(last.offset.ahead_millis);
            let seen = format!(
                "the clock of {} is {} that of {}",
                first.host,
                seconds(apart),
                last.host
            );
            found.push(finding(ID, severity, None, seen, WHY, HELP));
        }
    }
}

fn severity(millis: i64) -> Option<Severity> {
    match millis.saturating_abs() {
        FAIL_MILLIS.. => Some(Severity::Error),
        WARN_MILLIS.. => Some(Severity::Warning),
        _ => None,
    }
}

/// Returns how far the clocks are apart for certain.
fn spread_millis(readings: &[Reading<'_>]) -> i64 {
    let by_offset = |reading: &&Reading<'_>| reading.offset.ahead_millis;
    let (Some(first), Some(last)) = (
        readings.iter().max_by_key(by_offset),
        readings.iter().min_by_key(by_offset),
    ) else {
        return 0;
    };
    let apart = first
        .offset
        .ahead_millis
        .saturating_sub(last.offset.ahead_millis);
    certain(apart, first.half_trip().saturating_add(last.half_trip()))
}

/// Returns `millis` brought nearer to zero by what is not certain.
fn certain(millis: i64, doubt: i64) -> i64 {
    millis.signum() * millis.saturating_abs().saturating_sub(doubt).max(0)
}

fn seconds(millis: i64) -> String {
    let size = millis.unsigned_abs();
    let word = if millis < 0 { "behind" } else { "ahead of" };
    format!("{}.{} s {word}", size / 1000, size % 1000 / 100)
}
