//! What is wrong with etcd, and what to do about it.

use slipway_api::{EtcdAlarmKind, EtcdFacts, EtcdMemberFacts, EtcdVotes, Failure};

/// How many revisions a member may be behind: members are asked one after the
/// other, while writes go on.
const LAG_LIMIT: i64 = 1000;

/// Of a database's quota, the part in percent from which it is told.
const QUOTA_PERCENT: u64 = 80;

/// Returns what is wrong with etcd, the worst first.
pub fn etcd_troubles(facts: &EtcdFacts) -> Vec<Failure> {
    let mut troubles = Vec::new();
    let mut add = |what: String, help: &str| {
        troubles.push(Failure::because(what).with_help(help));
    };
    let votes = facts.votes();
    let EtcdVotes { voters, healthy } = votes;
    if !votes.has_quorum() {
        add(
            format!(
                "etcd has no quorum: {healthy} of {voters} members are healthy, {} must be",
                votes.quorum()
            ),
            "bring a member's host back: nothing is lost then; `slipway etcd recover` is for hosts that are lost for good",
        );
    }
    for alarm in &facts.alarms {
        let named = facts.members.iter().find(|it| it.member.id == alarm.member);
        let name = named.map_or_else(|| alarm.member.to_string(), EtcdMemberFacts::shown_name);
        let help = match alarm.kind {
            EtcdAlarmKind::NoSpace => {
                "etcd takes no writes: `slipway etcd defrag` wins space back and ends the alarm; delete objects that nobody needs, or give etcd a larger `quota-backend-bytes`"
            }
            EtcdAlarmKind::Corrupt => {
                "its data differs from the others': take a snapshot of a healthy member before anything else"
            }
        };
        add(
            format!("member {name} has raised the alarm {}", alarm.kind),
            help,
        );
    }
    for facts in &facts.members {
        if let Some(failure) = &facts.failure {
            add(
                format!("member {} is not healthy: {failure}", facts.shown_name()),
                "`crictl ps -a --name etcd` on its host shows whether it runs, `crictl logs ID` why not",
            );
        }
        if facts.member.is_learner {
            add(
                format!("member {} has no vote yet", facts.shown_name()),
                "it is joining, or its joining was cut off: `slipway apply` goes on with it; if its host is gone for good, `slipway reset --host NAME` takes it out",
            );
        }
    }
    let newest = facts.newest_revision();
    for facts in &facts.members {
        let Some(status) = &facts.status else {
            continue;
        };
        let lag = newest - status.revision;
        if lag > LAG_LIMIT {
            add(
                format!("member {} is {lag} revisions behind", facts.shown_name()),
                "look at its disk and network: `slipway preflight` measures both",
            );
        }
        if let Some(percent) = quota_percent(facts)
            && percent >= QUOTA_PERCENT
        {
            add(
                format!(
                    "member {} fills {percent} % of its quota",
                    facts.shown_name()
                ),
                "at 100 % etcd takes no writes: `slipway etcd defrag`, and if that wins nothing, fewer objects or a larger `quota-backend-bytes`",
            );
        }
    }
    troubles
}

/// Returns how full a member's database is, as far as it tells.
pub fn quota_percent(facts: &EtcdMemberFacts) -> Option<u64> {
    let status = facts.status.as_ref()?;
    Some(status.db_size.saturating_mul(100) / status.db_quota?)
}

#[cfg(test)]
mod tests {
    use slipway_api::{EtcdAlarm, EtcdMemberId};

    use super::*;
    use crate::plan_defragment::tests::three_members;

    fn told(facts: &EtcdFacts) -> Vec<String> {
        let troubles = etcd_troubles(facts).into_iter();
        troubles.map(|trouble| trouble.message).collect()
    }

    #[test]
    fn three_healthy_members_are_no_trouble() {
        assert_eq!(told(&three_members()), Vec::<String>::new());
    }

    #[test]
    fn a_lost_quorum_is_told_first_and_with_the_numbers() {
        let mut facts = three_members();
        for member in &mut facts.members[1..] {
            member.status = None;
            member.failure = Some(Failure::because("nobody answers"));
        }
        assert_eq!(
            told(&facts),
            [
                "etcd has no quorum: 1 of 3 members are healthy, 2 must be",
                "member cp-2 is not healthy: nobody answers",
                "member cp-3 is not healthy: nobody answers",
            ]
        );
    }

    #[test]
    fn alarms_learners_lag_and_a_full_database_are_told() {
        let mut facts = three_members();
        facts.alarms.push(EtcdAlarm {
            member: EtcdMemberId::new(2),
            kind: EtcdAlarmKind::NoSpace,
        });
        facts.members[2].member.is_learner = true;
        facts.members[2].status.as_mut().unwrap().revision = 10;
        facts.members[1].status.as_mut().unwrap().db_size = 1800 << 20;
        assert_eq!(
            told(&facts),
            [
                "member cp-2 has raised the alarm NOSPACE",
                "member cp-3 has no vote yet",
                "member cp-2 fills 87 % of its quota",
                "member cp-3 is 4990 revisions behind",
            ]
        );
    }
}
