//! What an earlier cluster's pod network left on a host, or this one's where a node was moved.

use std::net::IpAddr;

use ipnet::IpNet;
use slipway_api::step::{RemovePods, StopUnit};
use slipway_api::{Cni, HostFacts, Phase, Step, StepId};

use crate::builder::PlanBuilder;
use crate::footprint;
use crate::install::runtime_socket;
use crate::plan_cluster::HostInput;

/// The links that carry addresses of pods.
pub(crate) const POD_LINKS: [&str; 2] = ["cni0", "flannel.1"];

/// The kubelet's port.
const KUBELET_PORT: u16 = 10250;

/// Adds the removal of a pod network that is older than the node to be.
///
/// `kubeadm reset` leaves it. A bridge with the address of another subnet than
/// the one that the new node gets makes every pod on it fail: "cni0 already has
/// an IP address different from …". Seen in the lab. Rules that lead to Services
/// of another cluster send packets astray, old pods keep writing them.
///
/// Nothing is touched while some kubelet runs, for its pods are no leftovers; but a node may
/// have been given another part of the pods' subnet than its links are of, as after a restore
/// of etcd or a `kubectl delete node`. Then its pods start again with new addresses, static
/// ones excepted.
pub(crate) fn add_leftover_removal(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    marker: StepId,
) -> Tidied {
    let facts = input.facts;
    let existing = &facts.existing;
    let is_node = existing.kubelet_conf;
    let runs_kubelet = facts
        .listening
        .iter()
        .any(|listener| listener.port == KUBELET_PORT);
    let is_moved = is_node && has_other_subnet(facts, input.pod_subnet);
    let is_left_alone = (is_node || runs_kubelet) && !is_moved;
    if is_left_alone || input.spec.networking.cni != Cni::Flannel {
        return Tidied {
            done: marker,
            stopped: None,
        };
    }
    let has_link = facts
        .links
        .iter()
        .any(|link| footprint::LINKS.contains(&link.name.as_str()));
    let had_network =
        has_link || existing.leftovers.flannel_network.is_some() || existing.leftovers.chains > 0;
    let host = &input.host.name;
    let mut before = marker;
    let mut stopped = None;
    if is_moved {
        // It would start them again at once.
        let unit = footprint::KUBELET_UNIT.to_owned();
        let stop = Step::StopUnit(StopUnit { unit });
        before = builder.add(host, Phase::Install, stop, &[before]);
        stopped = Some(before.clone());
    }
    let mut steps = Vec::new();
    if had_network {
        let unit = existing
            .runtime_is_ours
            .then(|| footprint::CONTAINERD_UNIT.to_owned());
        steps.push(Step::RemovePods(RemovePods {
            socket: runtime_socket(input),
            unit,
            keeps_static: is_node,
        }));
        steps.extend(footprint::network_state());
    }
    // flannel's configuration makes a node Ready before flannel runs.
    steps.extend(footprint::network_files());
    let phase = match is_node {
        true => Phase::Install,
        false => Phase::CleanupNode,
    };
    let done = steps.into_iter().fold(before, |before, step| {
        builder.add(host, phase, step, &[before])
    });
    Tidied { done, stopped }
}

/// What a host waits for before anything is installed on it.
pub(crate) struct Tidied {
    /// The step after which nothing is left over.
    pub done: StepId,
    /// The step that stopped the kubelet for it, which has to start again.
    pub stopped: Option<StepId>,
}

/// Returns whether pods' links have addresses outside `own`, the part of the pods' subnet that
/// the cluster has given to the node. Of a dual-stack node it tells the first part only.
pub(crate) fn has_other_subnet(facts: &HostFacts, own: Option<IpNet>) -> bool {
    let Some(own) = own else {
        return false;
    };
    let links = facts.links.iter();
    let links = links.filter(|link| POD_LINKS.contains(&link.name.as_str()));
    links
        .flat_map(|link| &link.addresses)
        .filter(|address| own.network().is_ipv4() == address.is_ipv4())
        .any(|address| is_judged(address) && !own.contains(address))
}

/// Returns whether an address says anything: every link has a link-local one.
pub(crate) fn is_judged(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}
