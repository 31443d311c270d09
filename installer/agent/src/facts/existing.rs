//! What Kubernetes left or keeps on this host.

use std::path::Path;

use slipway_api::{ExistingCluster, Sha256Digest, paths};
use slipway_pki::{CertificateFacts, public_key_pin};

use crate::server::under;

/// Returns what is there of a cluster.
pub(super) fn gather_existing(root: &Path) -> ExistingCluster {
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
    ExistingCluster {
        runtime_is_ours: under(root, paths::RUNTIME_MARKER).exists(),
        slipway_cluster: marker.map(|name| name.trim().to_owned()),
        manifests,
        kubelet_conf: under(root, paths::KUBELET_CONF).exists(),
        admin_conf: under(root, paths::ADMIN_CONF).exists(),
        etcd_data: entries(paths::ETCD_DIR).next().is_some(),
        ca_pin: authority
            .as_deref()
            .and_then(|pem| public_key_pin(pem).ok()),
        ca_sha256: authority.as_deref().map(Sha256Digest::of),
        node_name: node_name(root),
    }
}

/// Returns the name in the kubelet's client certificate.
fn node_name(root: &Path) -> Option<String> {
    let path = under(root, paths::KUBELET_PKI_DIR).join("kubelet-client-current.pem");
    // The link's target is an absolute path of the host.
    let target = std::fs::read_link(&path).ok()?;
    let text = std::fs::read_to_string(under(root, target.to_str()?)).ok()?;
    let facts = CertificateFacts::parse(&text).ok()?;
    facts
        .common_name
        .strip_prefix("system:node:")
        .map(str::to_owned)
}
