//! Upkeep of etcd's members, through their clients' port.

use std::time::Duration;

use slipway_api::step::{DefragmentEtcd, SnapshotEtcd};
use slipway_api::{Check, EtcdAlarm, EtcdAlarmKind, EtcdMemberStatus};

use super::needed;
use crate::AgentError;
use crate::context::Context;
use crate::etcd::{EtcdClient, EtcdCredentials, SnapshotFolder};

/// Holes that are not worth stopping a member for, in bytes.
const SMALL: u64 = 1 << 20;

/// Nor are holes that are less than this part of the database: writes leave some at all times.
const SMALL_PART: u64 = 10;

pub(super) async fn check_defragmented(
    step: &DefragmentEtcd,
    context: &Context,
) -> Result<Check, AgentError> {
    let client = client(step, context).await?;
    let status = client.status().await?;
    let full = own_alarm(&client, &status).await?;
    let because = full.map(|_| "alarm NOSPACE: etcd takes no writes".to_owned());
    Ok(needed(because.or_else(|| holes(&status))))
}

pub(super) async fn apply_defragmented(
    step: &DefragmentEtcd,
    context: &Context,
) -> Result<(), AgentError> {
    let client = client(step, context).await?;
    let before = client.status().await?;
    client.defragment().await?;
    let after = client.status().await?;
    context.log(format!(
        "the database took {} and takes {}",
        megabytes(before.db_size),
        megabytes(after.db_size)
    ));
    // The member takes writes again as soon as its database is below the quota.
    if let Some(alarm) = own_alarm(&client, &after).await?
        && after.db_quota.is_none_or(|quota| after.db_size < quota)
    {
        client.disarm(alarm).await?;
        context.log("alarm NOSPACE ended");
    }
    Ok(())
}

pub(super) fn check_snapshot(step: &SnapshotEtcd, context: &Context) -> Result<Check, AgentError> {
    let fresh = Duration::from_secs(step.fresh_seconds);
    let newest = folder_of(step, context).newest_age()?;
    let because = match newest {
        Some(age) if age <= fresh => None,
        Some(age) => Some(format!("the last one is {} min old", age.as_secs() / 60)),
        None => Some("there is none".to_owned()),
    };
    Ok(needed(because))
}

pub(super) async fn apply_snapshot(
    step: &SnapshotEtcd,
    context: &Context,
) -> Result<(), AgentError> {
    let kept = folder_of(step, context)
        .take(&context.at("/"), false)
        .await?;
    if let Some(kept) = kept {
        context.log(format!("{} at revision {}", kept.path, kept.revision));
    }
    Ok(())
}

fn folder_of(step: &SnapshotEtcd, context: &Context) -> SnapshotFolder {
    SnapshotFolder {
        cluster: step.cluster.clone(),
        dir: context.at(&step.dir),
        keep: usize::from(step.keep),
    }
}

async fn client(step: &DefragmentEtcd, context: &Context) -> Result<EtcdClient, AgentError> {
    let credentials = EtcdCredentials::of_host(&context.at("/"));
    Ok(EtcdClient::connect(&step.endpoint, &credentials).await?)
}

/// Returns the alarm that the member has raised for want of space.
async fn own_alarm(
    client: &EtcdClient,
    status: &EtcdMemberStatus,
) -> Result<Option<EtcdAlarm>, AgentError> {
    let own = |alarm: &EtcdAlarm| alarm.member == status.id && alarm.kind == EtcdAlarmKind::NoSpace;
    Ok(client.alarms().await?.into_iter().find(own))
}

/// Returns how much of the database is not in use, where that is worth something.
fn holes(status: &EtcdMemberStatus) -> Option<String> {
    let free = status.db_size.saturating_sub(status.db_in_use);
    let is_much = free >= SMALL && free.saturating_mul(SMALL_PART) >= status.db_size;
    let shown = || {
        format!(
            "{} of {} are not in use",
            megabytes(free),
            megabytes(status.db_size)
        )
    };
    is_much.then(shown)
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use slipway_api::EtcdMemberId;

    use super::*;

    fn status(db_size: u64, db_in_use: u64) -> EtcdMemberStatus {
        EtcdMemberStatus {
            id: EtcdMemberId::new(1),
            version: "3.6.8".to_owned(),
            leader: None,
            is_learner: false,
            revision: 1,
            raft_term: 1,
            raft_index: 1,
            raft_applied_index: 1,
            db_size,
            db_in_use,
            db_quota: None,
            errors: Vec::new(),
        }
    }

    #[test]
    fn a_member_is_stopped_only_for_what_is_worth_it() {
        let mib = 1 << 20;
        assert_eq!(holes(&status(40 * mib, 40 * mib)), None);
        assert_eq!(holes(&status(mib / 2, 0)), None);
        assert_eq!(holes(&status(1000 * mib, 995 * mib)), None);
        assert_eq!(
            holes(&status(40 * mib, 28 * mib)).unwrap(),
            "12.0 MiB of 40.0 MiB are not in use"
        );
    }
}
