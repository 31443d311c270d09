//! What Kubernetes left or keeps on this host.

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use slipway_api::protocol::Attachment;
use slipway_api::{BalancerState, ExistingCluster, Leftovers, Sha256Digest, paths};
use slipway_pki::{CertificateFacts, public_key_pin};
use tokio::sync::mpsc;

use super::authorities::gather_authorities;
use super::certificates::gather_certificates;
use crate::before::Before;
use crate::context::Context;
use crate::files;
use crate::placed_files::PlacedFiles;
use crate::server::under;
use crate::steps::{count_chains, data_dir, initial_cluster};

/// Where flannel writes the subnets that its CNI plugin uses.
const FLANNEL_SUBNET_FILE: &str = "/run/flannel/subnet.env";

/// Where CNI's host-local plugin keeps the addresses it gave away.
const LEASES_DIR: &str = "/var/lib/cni/networks";

/// Returns what is there of a cluster.
pub(super) async fn gather_existing(root: &Path) -> ExistingCluster {
    let authority = std::fs::read_to_string(under(root, paths::CLUSTER_CA)).ok();
    let entries = |path: &str| {
        std::fs::read_dir(under(root, path))
            .into_iter()
            .flatten()
            .flatten()
    };
    let mut manifests: Vec<String> = entries(paths::MANIFESTS_DIR)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    manifests.sort();
    let marker = std::fs::read_to_string(under(root, paths::CLUSTER_MARKER)).ok();
    let is_member = marker.is_some();
    let etcd = under(root, paths::MANIFESTS_DIR).join("etcd.yaml");
    let etcd = std::fs::read_to_string(etcd).unwrap_or_default();
    ExistingCluster {
        runtime_is_ours: under(root, paths::RUNTIME_MARKER).exists(),
        slipway_cluster: marker.map(|name| name.trim().to_owned()),
        is_remembered: under(root, paths::BEFORE_DIR).exists(),
        manifests,
        kubelet_conf: under(root, paths::KUBELET_CONF).exists(),
        bootstrap_conf: under(root, paths::BOOTSTRAP_KUBELET_CONF).exists(),
        admin_conf: under(root, paths::ADMIN_CONF).exists(),
        etcd_data: files::has_content(&under(root, paths::ETCD_DIR)),
        etcd_data_dir: data_dir(&etcd).map(str::to_owned),
        mirrored_registries: mirrored_registries(root),
        initial_cluster: initial_members(&etcd),
        ca_pin: authority
            .as_deref()
            .and_then(|pem| public_key_pin(pem).ok()),
        ca_sha256: authority.as_deref().map(Sha256Digest::of),
        authorities: gather_authorities(root),
        certificates: gather_certificates(root),
        node_name: node_name(root),
        // The steps that touch them say why they cannot be read.
        placed_files: PlacedFiles::load(root).map_or_else(|_| Vec::new(), PlacedFiles::into_paths),
        etcd_recovery: std::fs::read_to_string(under(root, paths::RECOVERING_MARKER))
            .ok()
            .map(|id| id.trim().to_owned()),
        balancer: under(root, paths::APISERVER_PROXY_UNIT).exists(),
        balancer_state: balancer_state(root),
        snapshot_timer: under(root, paths::SNAPSHOT_TIMER).exists(),
        has_signed_serving: authority.as_deref().is_some_and(|ca| {
            let path = under(root, paths::KUBELET_PKI_DIR).join("kubelet.crt");
            let chain = std::fs::read_to_string(path).unwrap_or_default();
            CertificateFacts::chain_leads_to(&chain, ca).unwrap_or(false)
        }),
        leftovers: gather_leftovers(root, is_member).await,
    }
}

/// Returns what the balancer has written down; it goes when the balancer stops.
fn balancer_state(root: &Path) -> Option<BalancerState> {
    let text = std::fs::read_to_string(under(root, paths::APISERVER_PROXY_STATE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Returns the members that etcd was told when it joined them.
fn initial_members(manifest: &str) -> Vec<String> {
    match initial_cluster(manifest) {
        Some((members, true)) => members.split(',').map(str::to_owned).collect(),
        Some((_, false)) | None => Vec::new(),
    }
}

/// Returns the registries whose mirrors' files were looked at before Slipway wrote them.
fn mirrored_registries(root: &Path) -> Vec<String> {
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    // The steps that need the record say why it cannot be read.
    let Ok(before) = Before::load(&context) else {
        return Vec::new();
    };
    let registry = |path: &str| {
        let rest = path.strip_prefix(paths::CERTS_D)?.strip_prefix('/')?;
        rest.strip_suffix("/hosts.toml").map(str::to_owned)
    };
    before.paths().filter_map(registry).collect()
}

/// Returns what pods' networks left; chains are counted only where nobody
/// should have any, since a node has thousands.
async fn gather_leftovers(root: &Path, is_member: bool) -> Leftovers {
    let flannel = std::fs::read_to_string(under(root, FLANNEL_SUBNET_FILE)).unwrap_or_default();
    let network = |key: &str| {
        let value = flannel.lines().find_map(|line| line.strip_prefix(key))?;
        value.trim().parse::<IpNet>().ok()
    };
    Leftovers {
        flannel_network: network("FLANNEL_NETWORK="),
        flannel_subnet: network("FLANNEL_SUBNET=").map(|subnet| subnet.trunc()),
        cni_leases: count_leases(root),
        chains: if is_member { 0 } else { count_chains().await },
    }
}

/// Returns how many addresses the host-local plugin holds: it keeps a file for each.
fn count_leases(root: &Path) -> u32 {
    let networks = std::fs::read_dir(under(root, LEASES_DIR));
    let leases = networks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|network| std::fs::read_dir(network.path()).ok())
        .flatten()
        .flatten()
        .filter(|lease| {
            let name = lease.file_name();
            name.to_str()
                .is_some_and(|name| name.parse::<IpAddr>().is_ok())
        })
        .count();
    u32::try_from(leases).unwrap_or(u32::MAX)
}

/// Returns the name in the kubelet's client certificate.
fn node_name(root: &Path) -> Option<String> {
    let path = under(root, paths::KUBELET_CLIENT);
    // The link's target is an absolute path of the host.
    let target = std::fs::read_link(&path).ok()?;
    let text = std::fs::read_to_string(under(root, target.to_str()?)).ok()?;
    let facts = CertificateFacts::parse(&text).ok()?;
    facts
        .common_name
        .strip_prefix("system:node:")
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn traces_of_a_pods_network_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = under(folder.path(), path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            FLANNEL_SUBNET_FILE,
            "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.3.1/24\nFLANNEL_MTU=1450\n",
        );
        for name in ["10.42.3.7", "10.42.3.8", "last_reserved_ip.0", "lock"] {
            write(&format!("{LEASES_DIR}/cbr0/{name}"), "");
        }
        let found = gather_leftovers(folder.path(), true).await;
        let expected = Leftovers {
            flannel_network: "10.42.0.0/16".parse().ok(),
            flannel_subnet: "10.42.3.0/24".parse().ok(),
            cni_leases: 2,
            chains: 0,
        };
        assert_eq!(found, expected);
    }
}
