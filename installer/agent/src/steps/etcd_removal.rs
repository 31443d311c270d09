//! A member leaves etcd: a member that stays takes it out.

use std::time::{Duration, Instant};

use slipway_api::step::RemoveEtcdMember;
use slipway_api::{Check, EtcdFacts, EtcdMemberFacts, EtcdVotes};

use super::etcd::failed;
use super::needed;
use crate::AgentError;
use crate::context::Context;
use crate::etcd::{EtcdClient, EtcdCredentials, EtcdError, gather_etcd_facts};

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// How long etcd may refuse: it changes its members only once all that it
/// counts on have been connected for five seconds, its `HealthInterval`.
const LIMIT: Duration = Duration::from_secs(60);
/// How long nobody may lead: an election takes one to two seconds by kubeadm's
/// settings, and begins anew where votes are split.
const ELECTION: Duration = Duration::from_secs(10);

pub(super) async fn check_removed(
    step: &RemoveEtcdMember,
    context: &Context,
) -> Result<Check, AgentError> {
    let client = EtcdClient::local(&context.at("/")).await?;
    // Without the one that goes another may have to be elected leader first.
    let deadline = Instant::now() + ELECTION;
    let is_listed = loop {
        match is_listed(step, &client).await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            found => break found.map_err(failed("list etcd's members"))?,
        }
    };
    Ok(needed(is_listed.then(|| {
        format!("etcd has a member {}", step.member_name)
    })))
}

pub(super) async fn apply_removal(
    step: &RemoveEtcdMember,
    context: &Context,
) -> Result<(), AgentError> {
    let root = context.at("/");
    let facts = gather_etcd_facts(&root).await?;
    let client = EtcdClient::local(&root).await?;
    for leaving in leaving(step, &facts) {
        refuse_loss_of_quorum(step, leaving, &facts)?;
        if leaving.is_leader() {
            hand_over(leaving, &facts, context).await;
        }
        let id = leaving.member.id;
        context.log(format!("removing member {id} ({})", leaving.shown_name()));
        let deadline = Instant::now() + LIMIT;
        while let Err(error) = client.remove(id).await {
            if Instant::now() >= deadline {
                return Err(failed("remove a member of etcd")(error));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Returns whether a quorum has the member.
async fn is_listed(step: &RemoveEtcdMember, client: &EtcdClient) -> Result<bool, EtcdError> {
    let members = client.agreed_members().await?;
    Ok(members
        .iter()
        .any(|member| member.is_of(&step.member_name, step.address)))
}

/// Returns the members of the node that goes: an earlier one of its name may
/// have another address.
fn leaving<'a>(
    step: &'a RemoveEtcdMember,
    facts: &'a EtcdFacts,
) -> impl Iterator<Item = &'a EtcdMemberFacts> {
    facts
        .members
        .iter()
        .filter(|it| it.member.is_of(&step.member_name, step.address))
}

/// Refuses what would leave fewer healthy members than must answer.
fn refuse_loss_of_quorum(
    step: &RemoveEtcdMember,
    leaving: &EtcdMemberFacts,
    facts: &EtcdFacts,
) -> Result<(), AgentError> {
    if leaving.member.is_learner {
        return Ok(());
    }
    let left = facts.votes().without(leaving.failure.is_none());
    if left.has_quorum() {
        return Ok(());
    }
    let EtcdVotes { voters, healthy } = left;
    let sick: Vec<String> = facts
        .voters()
        .filter(|it| it.failure.is_some() && it.member.id != leaving.member.id)
        .map(EtcdMemberFacts::shown_name)
        .collect();
    Err(AgentError::Blocked {
        message: format!(
            "without {} etcd would lose its quorum: {healthy} of the {voters} members left are healthy, and {} must be",
            step.member_name,
            left.quorum()
        ),
        help: match sick.is_empty() {
            true => "end the whole cluster with `slipway reset --all`, or let another control-plane node join first".to_owned(),
            false => format!("mend or take out first what is not healthy: {}", sick.join(", ")),
        },
    })
}

/// Lets another member lead, so that nobody waits for an election. Where that
/// fails the election comes, and writes wait a second or two.
async fn hand_over(leaving: &EtcdMemberFacts, facts: &EtcdFacts, context: &Context) {
    let is_fit = |it: &&EtcdMemberFacts| {
        it.failure.is_none() && !it.member.is_learner && it.member.id != leaving.member.id
    };
    let heir = facts.members.iter().find(is_fit);
    let (Some(heir), Some(endpoint)) = (heir, leaving.member.client_urls.first()) else {
        return;
    };
    let credentials = EtcdCredentials::of_host(&context.at("/"));
    let moved = async {
        let leader = EtcdClient::connect(endpoint, &credentials).await?;
        leader.move_leader(heir.member.id).await
    };
    match moved.await {
        Ok(()) => context.log(format!("{} leads now", heir.shown_name())),
        Err(error) => context.log(format!("the leader does not hand over: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use slipway_api::{EtcdMember, EtcdMemberId, Failure};

    use super::*;

    fn member(number: u64, is_healthy: bool) -> EtcdMemberFacts {
        EtcdMemberFacts {
            member: EtcdMember {
                id: EtcdMemberId::new(number),
                name: format!("cp-{number}"),
                peer_urls: vec![format!("https://192.0.2.{number}:2380")],
                client_urls: vec![format!("https://192.0.2.{number}:2379")],
                is_learner: false,
            },
            status: None,
            failure: (!is_healthy).then(|| Failure::because("nobody answers")),
        }
    }

    fn step(number: u64) -> RemoveEtcdMember {
        RemoveEtcdMember {
            member_name: format!("cp-{number}"),
            address: IpAddr::from([192, 0, 2, u8::try_from(number).unwrap()]),
        }
    }

    fn judge(health: &[bool], going: u64) -> Result<(), AgentError> {
        let members = (1..).zip(health);
        let facts = EtcdFacts {
            members: members.map(|(number, it)| member(number, *it)).collect(),
            alarms: Vec::new(),
        };
        let step = step(going);
        let leaving = leaving(&step, &facts).next().unwrap();
        refuse_loss_of_quorum(&step, leaving, &facts)
    }

    #[test]
    fn the_dead_member_of_three_may_go_and_a_healthy_one_may_not() {
        assert!(judge(&[true, true, false], 3).is_ok());
        let error = judge(&[true, true, false], 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "without cp-2 etcd would lose its quorum: 1 of the 2 members left are healthy, and 2 must be"
        );
        assert!(error.help().unwrap().ends_with("cp-3"));
        assert!(judge(&[true, true, true], 1).is_ok());
        assert!(judge(&[true], 1).is_err());
    }

    #[test]
    fn a_member_that_never_started_is_known_by_its_address() {
        let mut facts = EtcdFacts {
            members: vec![member(1, true), member(2, false)],
            alarms: Vec::new(),
        };
        facts.members[1].member.name = String::new();
        facts.members[1].member.is_learner = true;
        let step = step(2);
        let found: Vec<_> = leaving(&step, &facts).map(|it| it.member.id).collect();
        assert_eq!(found, [EtcdMemberId::new(2)]);
        assert!(refuse_loss_of_quorum(&step, &facts.members[1], &facts).is_ok());
    }
}
