//! A control-plane node leaves a cluster that goes on: out of etcd first, by a
//! member that stays, and only then off its host.

use slipway_api::step::{HoldStaticPods, MoveEndpoint, RemoveEtcdMember};
use slipway_api::{
    ClusterSpec, Etcd, EtcdFacts, EtcdVotes, Facts, HostFacts, HostName, HostSpec, Phase, Step,
    StepId,
};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::control_plane::COMPONENT_TIMEOUT;
use crate::control_plane_hosts::is_established;
use crate::install::found_socket;
use crate::names::api_address;

/// What serves others on a control-plane node. etcd goes on until it is out.
const SERVERS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// Returns the control-plane hosts that leave, in the order in which etcd can
/// do without them: those first whose member is not healthy, which costs no vote.
///
/// # Errors
/// etcd would lose its quorum, or has none, and the loss is not `forced`.
pub(crate) fn in_order<'a>(
    spec: &ClusterSpec,
    etcd: Option<&EtcdFacts>,
    leaving: &[&'a HostSpec],
    forced: bool,
) -> Result<Vec<Leaving<'a>>, PlanError> {
    let is_ours = matches!(spec.cluster_configuration.etcd, Etcd::Local(_));
    let Some(first) = leaving.first() else {
        return Ok(Vec::new());
    };
    let etcd = match etcd {
        Some(etcd) if is_ours => etcd,
        None if is_ours && !forced => {
            return Err(PlanError::EtcdSilent {
                host: first.name.clone(),
            });
        }
        // Somebody else's etcd has no members here.
        Some(_) | None => {
            let all = leaving.iter();
            return Ok(all
                .map(|host| Leaving {
                    host,
                    is_member: false,
                })
                .collect());
        }
    };
    let member = |host: &HostSpec| {
        let mut all = etcd.members.iter();
        all.find(|it| it.member.is_of(host.node_name(), host.node_ip))
    };
    let is_healthy = |host: &HostSpec| member(host).is_some_and(|it| it.failure.is_none());
    let mut order = leaving.to_vec();
    order.sort_by_key(|host| is_healthy(host));
    let mut votes = etcd.votes();
    let mut found = Vec::new();
    for host in order {
        let is_voter = member(host).is_some_and(|it| !it.member.is_learner);
        let left = match is_voter {
            true => votes.without(is_healthy(host)),
            false => votes,
        };
        let is_member = member(host).is_some() && votes.has_quorum() && left.has_quorum();
        if member(host).is_some() && !is_member && !forced {
            return Err(refusal(host, votes, left));
        }
        if is_member {
            votes = left;
        }
        found.push(Leaving { host, is_member });
    }
    Ok(found)
}

/// A control-plane host that leaves.
pub(crate) struct Leaving<'a> {
    /// The host.
    pub host: &'a HostSpec,
    /// Whether it has a member that etcd can be asked to remove.
    pub is_member: bool,
}

fn refusal(host: &HostSpec, votes: EtcdVotes, left: EtcdVotes) -> PlanError {
    let host = host.name.clone();
    if !votes.has_quorum() {
        let EtcdVotes { voters, healthy } = votes;
        let quorum = votes.quorum();
        return PlanError::NoQuorum {
            host,
            healthy,
            voters,
            quorum,
        };
    }
    let EtcdVotes { voters, healthy } = left;
    let quorum = left.quorum();
    PlanError::QuorumLoss {
        host,
        healthy,
        voters,
        quorum,
    }
}

/// Adds what takes a host's servers out of the others' way and its member out
/// of etcd, after `before`; returns the last step. One member goes at a time.
pub(crate) fn add_departure(
    builder: &mut PlanBuilder,
    facts: &Facts,
    speaker: &HostName,
    leaving: &Leaving<'_>,
    before: &[StepId],
) -> Vec<StepId> {
    let host = leaving.host;
    let mut before = before.to_vec();
    if let Some(facts) = serving(facts, host) {
        let hold = Step::HoldStaticPods(HoldStaticPods {
            names: SERVERS.map(str::to_owned).to_vec(),
            socket: found_socket(facts),
            timeout_seconds: COMPONENT_TIMEOUT,
        });
        before = vec![builder.add(&host.name, Phase::RemoveNode, hold, &before)];
    }
    if leaving.is_member {
        let removal = Step::RemoveEtcdMember(RemoveEtcdMember {
            member_name: host.node_name().to_owned(),
            address: host.node_ip,
        });
        before = vec![builder.add(speaker, Phase::RemoveNode, removal, &before)];
    }
    before
}

/// Returns the facts of a host on which a kubelet runs that can stop the node's
/// servers; none of any other.
fn serving<'a>(facts: &'a Facts, host: &HostSpec) -> Option<&'a HostFacts> {
    let found = facts.host(&host.name)?;
    let is_active = found.kubelet.as_ref().is_some_and(|kubelet| kubelet.active);
    (is_active && is_established(facts, &host.name)).then_some(found)
}

/// Adds a step that sends kubeadm's joins to a host that stays, where they are
/// sent to one that leaves.
pub(crate) fn add_endpoint_move(
    builder: &mut PlanBuilder,
    spec: &ClusterSpec,
    facts: &Facts,
    speaker: &HostSpec,
    leaving: &[&HostSpec],
) -> Vec<StepId> {
    let of = |host: &HostSpec| api_address(host).to_string();
    let stored = facts
        .cluster
        .as_ref()
        .and_then(|it| it.control_plane_endpoint());
    let gone = leaving.iter().map(|host| of(host));
    let Some(from) = gone.into_iter().find(|it| Some(it.as_str()) == stored) else {
        return Vec::new();
    };
    if spec.control_plane_endpoint.is_some() {
        return Vec::new();
    }
    let to = of(speaker);
    let step = Step::MoveEndpoint(MoveEndpoint { from, to });
    vec![builder.add(&speaker.name, Phase::UploadConfig, step, &[])]
}
