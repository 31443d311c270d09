//! What an earlier cluster's pod network left on a host that is no node now.

use slipway_api::step::{RemoveLinks, RemovePath};
use slipway_api::{Cni, Phase, Step, StepId};

use crate::builder::PlanBuilder;
use crate::plan_cluster::HostInput;

/// Links of flannel and of the bridge plugin that it delegates to.
pub(crate) const POD_NETWORK_LINKS: [&str; 2] = ["cni0", "flannel.1"];

/// What flannel and the CNI plugins write on a host: its configuration, the
/// node's subnet, and the addresses that were given to pods.
pub(crate) const POD_NETWORK_PATHS: [&str; 3] = [
    "/var/lib/cni",
    "/run/flannel",
    "/etc/cni/net.d/10-flannel.conflist",
];

/// Adds the removal of a pod network that is older than the node to be, and
/// returns the steps' IDs.
///
/// `kubeadm reset` leaves it. A bridge with the address of another subnet than
/// the one that the new node gets makes every pod on it fail: "cni0 already has
/// an IP address different from …". Seen in the lab.
pub(crate) fn add_leftover_removal(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &[StepId],
) -> Vec<StepId> {
    let is_ours = |name: &str| POD_NETWORK_LINKS.contains(&name);
    let existing = &input.facts.existing;
    let is_left = existing.leftovers.flannel_network.is_some()
        || existing.leftovers.cni_leases > 0
        || input.facts.links.iter().any(|link| is_ours(&link.name));
    if existing.kubelet_conf || input.spec.networking.cni != Cni::Flannel || !is_left {
        return Vec::new();
    }
    let links = Step::RemoveLinks(RemoveLinks {
        links: POD_NETWORK_LINKS.map(str::to_owned).to_vec(),
    });
    let paths = POD_NETWORK_PATHS.map(|path| {
        Step::RemovePath(RemovePath {
            path: path.to_owned(),
            keep_folder: false,
        })
    });
    std::iter::once(links)
        .chain(paths)
        .map(|step| builder.add(&input.host.name, Phase::Install, step, needs))
        .collect()
}
