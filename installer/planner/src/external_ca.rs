//! Whether somebody else signs for the cluster, and what follows from it.

use slipway_api::{ClusterSpec, Facts, HostFacts};

use crate::control_plane_hosts::ControlPlaneHosts;

/// Returns whether the key of the cluster's CA is elsewhere.
pub(crate) fn has_external_ca(spec: &ClusterSpec, facts: &Facts) -> bool {
    ControlPlaneHosts::of(spec, facts).is_ok_and(|hosts| hosts.has_external("ca"))
}

/// Returns whether a host's kubelet.conf is one that was put there for a node
/// to come, not a node's.
pub(crate) fn has_given_kubelet_conf(spec: &ClusterSpec, facts: &Facts, host: &HostFacts) -> bool {
    let existing = &host.existing;
    let is_running = host.kubelet.as_ref().is_some_and(|kubelet| kubelet.active);
    existing.kubelet_conf
        && existing.slipway_cluster.is_none()
        && existing.manifests.is_empty()
        && !is_running
        && has_external_ca(spec, facts)
}
