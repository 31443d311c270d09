//! What an earlier cluster's pod network left on a host that is no node now.

use slipway_api::step::RemovePods;
use slipway_api::{Cni, Phase, Step, StepId};

use crate::builder::PlanBuilder;
use crate::footprint;
use crate::install::runtime_socket;
use crate::plan_cluster::HostInput;

/// The kubelet's port.
const KUBELET_PORT: u16 = 10250;

/// Adds the removal of a pod network that is older than the node to be, and
/// returns the step after which it is gone.
///
/// `kubeadm reset` leaves it. A bridge with the address of another subnet than
/// the one that the new node gets makes every pod on it fail: "cni0 already has
/// an IP address different from …". Seen in the lab. Rules that lead to Services
/// of another cluster send packets astray, old pods keep writing them.
///
/// Nothing is touched while some kubelet runs, for its pods are no leftovers.
pub(crate) fn add_leftover_removal(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    marker: StepId,
) -> StepId {
    let facts = input.facts;
    let existing = &facts.existing;
    let runs_kubelet = facts
        .listening
        .iter()
        .any(|listener| listener.port == KUBELET_PORT);
    if existing.kubelet_conf || runs_kubelet || input.spec.networking.cni != Cni::Flannel {
        return marker;
    }
    let has_link = facts
        .links
        .iter()
        .any(|link| footprint::LINKS.contains(&link.name.as_str()));
    let had_network =
        has_link || existing.leftovers.flannel_network.is_some() || existing.leftovers.chains > 0;
    let mut steps = Vec::new();
    if had_network {
        let unit = existing
            .runtime_is_ours
            .then(|| footprint::CONTAINERD_UNIT.to_owned());
        steps.push(Step::RemovePods(RemovePods {
            socket: runtime_socket(input),
            unit,
        }));
        steps.extend(footprint::network_state());
    }
    // flannel's configuration makes a node Ready before flannel runs.
    steps.extend(footprint::network_files());
    steps.into_iter().fold(marker, |before, step| {
        builder.add(&input.host.name, Phase::CleanupNode, step, &[before])
    })
}
