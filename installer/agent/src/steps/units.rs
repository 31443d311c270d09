//! systemd units: running with their files as they are, or stopped.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use slipway_api::Check;
use slipway_api::step::{EnsureUnit, ForgetUnits, StopUnit};

use super::needed;
use crate::context::Context;
use crate::start_record::StartRecord;
use crate::{AgentError, command};

pub(super) async fn check_unit(step: &EnsureUnit, context: &Context) -> Result<Check, AgentError> {
    let unit = show(&step.unit).await?;
    let is = |key: &str, value: &str| unit.get(key).is_some_and(|found| found == value);
    if !is("ActiveState", "active") {
        let state = unit.get("ActiveState").map_or("unknown", String::as_str);
        return Ok(needed(Some(format!("it is {state}"))));
    }
    if !is("UnitFileState", "enabled") {
        return Ok(needed(Some("it is not enabled")));
    }
    let (name, instance) = (&step.unit, invocation(&unit));
    let started = started_at(&unit);
    let changed = StartRecord::changed(name, instance, started, &step.files, context)?;
    let because = changed.first();
    Ok(needed(
        because.map(|file| format!("{file} changed after it started")),
    ))
}

/// Returns systemd's name for this very start of a unit.
fn invocation(unit: &BTreeMap<String, String>) -> &str {
    unit.get("InvocationID").map_or("", String::as_str)
}

pub(super) async fn apply_unit(step: &EnsureUnit, context: &Context) -> Result<(), AgentError> {
    command::run("systemctl", &["daemon-reload"]).await?;
    command::run("systemctl", &["enable", &step.unit]).await?;
    // A unit that failed too often stays down until its counter is cleared.
    let _ = command::run("systemctl", &["reset-failed", &step.unit]).await;
    // Looked at before: what is written while it starts is read or not.
    let record = StartRecord::look(&step.files, context);
    let restarted = command::run("systemctl", &["restart", &step.unit]).await;
    if restarted.is_err() {
        let lines = journal_tail(&step.unit).await;
        lines.into_iter().for_each(|line| context.log(line));
    }
    restarted?;
    let unit = show(&step.unit).await?;
    record.save(&step.unit, invocation(&unit), context)
}

pub(super) async fn check_stopped(step: &StopUnit) -> Result<Check, AgentError> {
    let unit = show(&step.unit).await?;
    let is = |key: &str, value: &str| unit.get(key).is_some_and(|found| found == value);
    let state = unit.get("ActiveState").map_or("unknown", String::as_str);
    let because = if !matches!(state, "inactive" | "failed") {
        Some(format!("it is {state}"))
    } else if is("UnitFileState", "enabled") {
        Some("it is enabled".to_owned())
    } else {
        None
    };
    Ok(needed(because))
}

pub(super) async fn apply_stop(step: &StopUnit) -> Result<(), AgentError> {
    command::run("systemctl", &["stop", &step.unit]).await?;
    let unit = show(&step.unit).await?;
    if unit
        .get("UnitFileState")
        .is_some_and(|state| state == "enabled")
    {
        command::run("systemctl", &["disable", &step.unit]).await?;
    }
    let _ = command::run("systemctl", &["reset-failed", &step.unit]).await;
    Ok(())
}

pub(super) async fn check_forgotten(step: &ForgetUnits) -> Result<Check, AgentError> {
    for name in &step.units {
        let unit = show(name).await?;
        let is = |key: &str, value: &str| unit.get(key).is_some_and(|found| found == value);
        let file = unit.get("FragmentPath").map_or("", String::as_str);
        let is_gone = !file.is_empty() && !std::path::Path::new(file).exists();
        if is_gone || is("NeedDaemonReload", "yes") {
            return Ok(needed(Some(format!("it still knows {name} as it was"))));
        }
        if is("ActiveState", "failed") {
            return Ok(needed(Some(format!("it counts {name} as failed"))));
        }
    }
    Ok(Check::Satisfied)
}

pub(super) async fn apply_forgotten(step: &ForgetUnits) -> Result<(), AgentError> {
    command::run("systemctl", &["daemon-reload"]).await?;
    for unit in &step.units {
        // Without a failure to forget there is nothing to reset.
        let _ = command::run("systemctl", &["reset-failed", unit]).await;
    }
    Ok(())
}

/// Returns the last lines that a unit wrote to the system's journal, without
/// those that a kubelet repeats while it has no API server.
pub(crate) async fn journal_tail(unit: &str) -> Vec<String> {
    let arguments = ["--no-pager", "-o", "cat", "-n", "2000", "-u", unit];
    let text = command::run("journalctl", &arguments)
        .await
        .unwrap_or_default();
    let is_told = |line: &&str| !NOISE.iter().any(|noise| line.contains(noise));
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .filter(is_told)
        .take(20)
        .map(|line| line.chars().take(400).collect())
        .collect();
    lines.reverse();
    lines
}

/// What a kubelet says over and over while the API server is down.
const NOISE: [&str; 6] = [
    "mirror pod",
    "event.go",
    "connection refused",
    "not found\" node=",
    "Failed to delete cgroup paths",
    "eviction_manager.go",
];

/// Returns whether a unit is active.
pub(crate) async fn is_active(unit: &str) -> bool {
    let unit = show(unit).await.unwrap_or_default();
    unit.get("ActiveState")
        .is_some_and(|state| state == "active")
}

/// What is asked of systemd about a unit.
const PROPERTIES: &str = "--property=ActiveState,UnitFileState,FragmentPath,NeedDaemonReload,InvocationID,ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic";

async fn show(unit: &str) -> Result<BTreeMap<String, String>, AgentError> {
    let text = command::run("systemctl", &["show", PROPERTIES, unit]).await?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// Returns when the unit's main process started, or when a unit without one, such as a
/// timer, became active; none where it never did.
///
/// systemd gives monotonic microseconds; the offset between the two clocks of
/// this moment turns them into a time that a file's can be compared with.
fn started_at(unit: &BTreeMap<String, String>) -> Option<SystemTime> {
    let process = unit.get("ExecMainStartTimestampMonotonic");
    let started = process.or_else(|| unit.get("ActiveEnterTimestampMonotonic"))?;
    let started: u64 = started.parse().ok()?;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32);
    let ago = now.checked_sub(Duration::from_micros(started))?;
    SystemTime::now().checked_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_no_process_and_has_started_all_the_same() {
        let property = |key: &str| (key.to_owned(), "1".to_owned());
        let timer = [property("ActiveEnterTimestampMonotonic")].into();
        assert!(started_at(&timer).is_some());
        let neither = [property("InvocationID")].into();
        assert!(started_at(&neither).is_none());
    }
}
