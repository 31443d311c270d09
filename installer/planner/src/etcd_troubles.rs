//! What is wrong with etcd, and what to do about it.

use slipway_api::{ClusterSpec, EtcdAlarmKind, EtcdFacts, EtcdMemberFacts, EtcdVotes, Failure};

/// How many revisions a member may be behind: members are asked one after the
/// other, while writes go on.
const LAG_LIMIT: i64 = 1000;

/// Of a database's quota, the part in percent from which it is told.
const QUOTA_PERCENT: u64 = 80;

/// Returns what is wrong with etcd, the worst first.
pub fn etcd_troubles(spec: &ClusterSpec, facts: &EtcdFacts) -> Vec<Failure> {
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
        let name = named.map_or_else(|| alarm.member.to_string(), |it| spec.name_of(&it.member));
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
        let name = spec.name_of(&facts.member);
        if let Some(failure) = &facts.failure {
            add(
                format!("member {name} is not healthy: {failure}"),
                "`crictl ps -a --name etcd` on its host shows whether it runs, `crictl logs ID` why not",
            );
        }
        if facts.member.is_learner {
            let host = spec
                .host_of(&facts.member)
                .map_or("NAME", |host| host.name.as_str());
            add(
                format!("member {name} has no vote yet"),
                &format!(
                    "it is joining, or its joining was cut off: `slipway apply` goes on with it; if its host is gone for good, `slipway reset --host {host}` takes it out"
                ),
            );
        }
    }
    let newest = facts.newest_revision();
    for facts in &facts.members {
        let Some(status) = &facts.status else {
            continue;
        };
        let name = spec.name_of(&facts.member);
        let lag = newest - status.revision;
        if lag > LAG_LIMIT {
            add(
                format!("member {name} is {lag} revisions behind"),
                "look at its disk and network: `slipway preflight` measures both",
            );
        }
        if let Some(percent) = quota_percent(facts)
            && percent >= QUOTA_PERCENT
        {
            add(
                format!("member {name} fills {percent} % of its quota"),
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
    use slipway_api::{ClusterFile, EtcdAlarm, EtcdMemberId};

    use super::*;
    use crate::plan_defragment::tests::three_members;

    fn spec() -> ClusterSpec {
        let text = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: { name: harbour }\n\
            spec:\n  kubernetesVersion: 1.36.3\n  hosts:\n\
            \x20 - { name: cp-1, address: 10.0.0.1, role: control-plane }\n\
            \x20 - { name: cp-3, address: 10.0.0.3, role: control-plane }\n";
        ClusterFile::parse(text, "cluster.yaml").unwrap().spec
    }

    fn told(facts: &EtcdFacts) -> Vec<String> {
        let troubles = etcd_troubles(&spec(), facts).into_iter();
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
    fn a_learner_that_never_started_is_called_by_the_host_it_was_added_for() {
        let mut facts = three_members();
        for member in &mut facts.members[1..] {
            member.member.is_learner = true;
            member.member.name.clear();
        }
        let troubles = etcd_troubles(&spec(), &facts);
        let messages: Vec<&str> = troubles.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(
            messages,
            ["member 2 has no vote yet", "member cp-3 has no vote yet"]
        );
        let help = |index: usize| troubles[index].help.clone().unwrap();
        assert!(help(0).contains("reset --host NAME"), "{}", help(0));
        assert!(help(1).contains("reset --host cp-3"), "{}", help(1));
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
