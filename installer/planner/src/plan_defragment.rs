//! Plans the defragmentation of etcd: one member after the other, the leader last.

use slipway_api::step::DefragmentEtcd;
use slipway_api::{EtcdFacts, EtcdMemberFacts, EtcdVotes, HostName, Phase, Plan, Step};

use crate::PlanError;
use crate::builder::PlanBuilder;

/// Returns the steps that defragment every member, through the agent on `host`. The leader
/// comes last, so that it does not lose its place to one that is stopped next.
///
/// # Errors
/// A member is not healthy: a second one that answers nobody can cost the quorum.
pub fn plan_defragment(
    cluster: &str,
    host: &HostName,
    etcd: &EtcdFacts,
) -> Result<Plan, PlanError> {
    let EtcdVotes { voters, healthy } = etcd.votes();
    if healthy < voters {
        return Err(PlanError::EtcdUnhealthy { healthy, voters });
    }
    let mut members: Vec<&EtcdMemberFacts> = etcd.members.iter().collect();
    members.sort_by_key(|it| (it.is_leader(), it.shown_name()));
    let mut builder = PlanBuilder::default();
    let mut before = Vec::new();
    for facts in members {
        // One that has never started has no database yet.
        let Some(endpoint) = facts.member.client_urls.first() else {
            continue;
        };
        let step = Step::DefragmentEtcd(DefragmentEtcd {
            member: facts.shown_name(),
            endpoint: endpoint.clone(),
        });
        before = vec![builder.add(host, Phase::Etcd, step, &before)];
    }
    Ok(builder.finish(cluster, Vec::new()))
}

#[cfg(test)]
pub(crate) mod tests {
    use slipway_api::{EtcdMember, EtcdMemberId, EtcdMemberStatus, Failure};

    use super::*;

    /// Returns three healthy members; cp-1 leads.
    pub(crate) fn three_members() -> EtcdFacts {
        let member = |number: u64| {
            let id = EtcdMemberId::new(number);
            EtcdMemberFacts {
                member: EtcdMember {
                    id,
                    name: format!("cp-{number}"),
                    peer_urls: vec![format!("https://10.0.0.{number}:2380")],
                    client_urls: vec![format!("https://10.0.0.{number}:2379")],
                    is_learner: false,
                },
                status: Some(EtcdMemberStatus {
                    id,
                    version: "3.6.8".to_owned(),
                    leader: Some(EtcdMemberId::new(1)),
                    is_learner: false,
                    revision: 5000,
                    raft_term: 2,
                    raft_index: 6000,
                    raft_applied_index: 6000,
                    db_size: 40 << 20,
                    db_in_use: 20 << 20,
                    db_quota: Some(2 << 30),
                    errors: Vec::new(),
                }),
                failure: None,
            }
        };
        EtcdFacts {
            members: (1..=3).map(member).collect(),
            alarms: Vec::new(),
        }
    }

    #[test]
    fn members_are_stopped_one_after_the_other_and_the_leader_last() {
        let host = "cp-2".parse().unwrap();
        let plan = plan_defragment("harbour", &host, &three_members()).unwrap();
        let lines: Vec<String> = plan.steps.iter().map(|it| it.step.describe()).collect();
        assert_eq!(
            lines,
            ["cp-2", "cp-3", "cp-1"].map(|name| format!("defragment etcd member {name}"))
        );
        for pair in plan.steps.windows(2) {
            assert_eq!(pair[1].needs, [pair[0].id.clone()]);
        }
        assert!(plan.steps.iter().all(|step| step.host == host));
    }

    #[test]
    fn no_member_is_stopped_while_another_is_not_healthy() {
        let mut etcd = three_members();
        etcd.members[2].failure = Some(Failure::because("nobody answers"));
        let host = "cp-1".parse().unwrap();
        let error = plan_defragment("harbour", &host, &etcd).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 of 3 etcd members are healthy, and one that is defragmented answers nobody"
        );
    }
}
