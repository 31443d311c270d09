//! etcd's members as a table.

use slipway_api::{ClusterSpec, EtcdFacts, EtcdMemberFacts, Failure};
use slipway_planner::quota_percent;

use super::table;
use crate::args::Output;

/// Prints the members and what is wrong with them on stdout.
pub(crate) fn etcd_members(
    spec: &ClusterSpec,
    facts: &EtcdFacts,
    troubles: &[Failure],
    output: Output,
) {
    if output == Output::Json {
        return super::json(&serde_json::json!({
            "members": facts.members,
            "alarms": facts.alarms,
            "troubles": troubles,
        }));
    }
    out!("{}", member_table(spec, facts));
    outln!("");
    print_troubles(troubles);
    if troubles.is_empty() {
        outln!("etcd is healthy.");
    }
}

/// Prints what is wrong, each with what to do about it.
pub(super) fn print_troubles(troubles: &[Failure]) {
    for trouble in troubles {
        outln!("unhealthy: {trouble}");
        if let Some(help) = &trouble.help {
            outln!("  help: {help}");
        }
    }
}

/// Returns the members as a table.
pub(super) fn member_table(spec: &ClusterSpec, facts: &EtcdFacts) -> String {
    let head = [
        "MEMBER", "ID", "STATE", "ROLE", "VERSION", "REVISION", "BEHIND", "SIZE", "IN USE",
        "QUOTA", "ALARMS",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let newest = facts.newest_revision();
    rows.extend(facts.members.iter().map(|it| row(spec, facts, it, newest)));
    table(&rows)
}

fn row(
    spec: &ClusterSpec,
    facts: &EtcdFacts,
    member: &EtcdMemberFacts,
    newest: i64,
) -> Vec<String> {
    let state = match (&member.failure, &member.status) {
        (None, _) => "healthy",
        (Some(_), Some(_)) => "unhealthy",
        (Some(_), None) => "silent",
    };
    let role = match (member.member.is_learner, member.is_leader()) {
        (true, _) => "learner",
        (false, true) => "leader",
        (false, false) => "follower",
    };
    let own = facts
        .alarms
        .iter()
        .filter(|it| it.member == member.member.id);
    let alarms: Vec<String> = own.map(|it| it.kind.to_string()).collect();
    let mut cells = vec![
        spec.name_of(&member.member),
        member.member.id.to_string(),
        state.to_owned(),
        role.to_owned(),
    ];
    cells.extend(match &member.status {
        None => vec![String::from("-"); 6],
        Some(status) => vec![
            status.version.clone(),
            status.revision.to_string(),
            (newest - status.revision).to_string(),
            mebibytes(status.db_size),
            mebibytes(status.db_in_use),
            quota_percent(member).map_or_else(|| "-".to_owned(), |it| format!("{it} %")),
        ],
    });
    cells.push(match alarms.is_empty() {
        true => "-".to_owned(),
        false => alarms.join(","),
    });
    cells
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
