//! What is left of an etcd that lost its quorum, and which member goes on.

use std::collections::BTreeMap;

use slipway_api::{
    ClusterSpec, EtcdFacts, EtcdMemberFacts, EtcdVotes, Facts, HostName, HostSpec, Role,
};

use crate::PlanError;

/// etcd as each of the control-plane hosts sees it whose own member answers.
pub type EtcdViews = BTreeMap<HostName, EtcdFacts>;

/// A member that outlived its quorum and can go on alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSurvivor {
    /// Its host.
    pub host: HostName,
    /// How many members have a vote.
    pub voters: usize,
    /// How many of them answer.
    pub answering: usize,
    /// How many must be healthy.
    pub quorum: usize,
    /// The newest entry that it knows to be committed.
    pub raft_index: u64,
    /// The newest revision in its store.
    pub revision: i64,
}

/// Returns the survivor that goes on: the one on `chosen`, or else the one that has most.
///
/// # Errors
/// Quorum holds or can come back by itself, nobody answers, the chosen one is none, or one
/// answers that nobody could stop.
pub fn choose_survivor(
    spec: &ClusterSpec,
    facts: &Facts,
    views: &EtcdViews,
    chosen: Option<&HostName>,
) -> Result<EtcdSurvivor, PlanError> {
    let mut found: Vec<EtcdSurvivor> = Vec::new();
    for (host, etcd) in views {
        let answers = |it: &&EtcdMemberFacts| it.status.is_some();
        let votes = etcd.votes();
        let (EtcdVotes { voters, healthy }, quorum) = (votes, votes.quorum());
        let answering = etcd.voters().filter(answers).count();
        // A healthy member has answered through a quorum.
        if healthy > 0 || answering >= quorum {
            return Err(PlanError::EtcdHasQuorum {
                answering,
                healthy,
                voters,
                quorum,
            });
        }
        for other in etcd.voters().filter(answers) {
            let host = host_of(spec, other);
            if host.is_none_or(|host| facts.host(&host.name).is_none()) {
                return Err(PlanError::EtcdMemberAlive {
                    member: other.shown_name(),
                });
            }
        }
        let own = etcd.members.iter().find(|it| {
            let is_here = host_of(spec, it).is_some_and(|it| it.name == *host);
            is_here && !it.member.is_learner
        });
        if let Some(status) = own.and_then(|it| it.status.as_ref()) {
            found.push(EtcdSurvivor {
                host: host.clone(),
                voters,
                answering,
                quorum,
                raft_index: status.raft_index,
                revision: status.revision,
            });
        }
    }
    let best = match chosen {
        Some(chosen) => found.into_iter().find(|it| it.host == *chosen),
        None => found
            .into_iter()
            .rev()
            .max_by_key(|it| (it.raft_index, it.revision)),
    };
    best.ok_or_else(|| PlanError::NoEtcdSurvivor {
        host: chosen.cloned(),
    })
}

/// Returns the host of a member, by the name of its node.
fn host_of<'a>(spec: &'a ClusterSpec, member: &EtcdMemberFacts) -> Option<&'a HostSpec> {
    let mut hosts = spec.hosts_with_role(Role::ControlPlane);
    hosts.find(|host| host.node_name() == member.member.name)
}
