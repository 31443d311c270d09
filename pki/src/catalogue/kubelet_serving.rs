//! The certificate under which a kubelet serves logs, exec and metrics.

use std::net::IpAddr;

use super::{NODE_USER_PREFIX, NODES_GROUP};
use crate::CertificateProfile;

/// Returns what a kubelet's serving certificate says: the subject that Kubernetes' own
/// `kubernetes.io/kubelet-serving` signer demands, the node's name, `hostnames` and `addresses`.
pub fn kubelet_serving_profile(
    node_name: &str,
    addresses: &[IpAddr],
    hostnames: &[String],
) -> CertificateProfile {
    let mut dns_sans = vec![node_name.to_owned()];
    dns_sans.extend_from_slice(hostnames);
    CertificateProfile {
        common_name: format!("{NODE_USER_PREFIX}{node_name}"),
        organizations: vec![NODES_GROUP.to_owned()],
        dns_sans,
        ip_sans: addresses.to_vec(),
        server_auth: true,
        ..CertificateProfile::default()
    }
    .normalized()
}
