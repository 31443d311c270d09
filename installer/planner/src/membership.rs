//! Which cluster a host belongs to.

use slipway_api::{ClusterSpec, ExistingCluster, Facts, HostName};

/// Returns whether a host is this very cluster's: Slipway marked it so, or kubeadm
/// joined it, which its CA tells.
///
/// The mark may be the `clusterName`: a machine that joins by itself takes that one
/// where nobody tells it Slipway's, as after `kubeadm upgrade`, which drops the
/// annotation of `kubeadm-config`. Many clusters have that name, so it takes the CA, too.
pub(crate) fn belongs_to_cluster(
    spec: &ClusterSpec,
    facts: &Facts,
    host: &HostName,
    existing: &ExistingCluster,
) -> bool {
    match &existing.slipway_cluster {
        Some(name) if *name == spec.name => true,
        Some(name) => {
            *name == spec.cluster_configuration.cluster_name
                && has_its_authority(spec, facts, host, existing)
        }
        None => has_its_authority(spec, facts, host, existing),
    }
}

/// Returns whether a worker has the CA that the control-plane host has.
fn has_its_authority(
    spec: &ClusterSpec,
    facts: &Facts,
    host: &HostName,
    existing: &ExistingCluster,
) -> bool {
    let first = &spec.first_control_plane().name;
    let cluster = facts.host(first).map(|facts| &facts.existing);
    host != first
        && existing.ca_sha256.is_some()
        && cluster.is_some_and(|cluster| cluster.ca_sha256 == existing.ca_sha256)
}
