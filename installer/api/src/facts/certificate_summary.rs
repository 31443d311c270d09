//! A certificate on a host, and until when it serves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A certificate on a host, in a file of its own or inside a kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// kubeadm's name for it, `apiserver` or `admin.conf`; `kubelet.conf` is the kubelet's
    /// client certificate and [`Self::KUBELET_SERVING`] the one it serves with.
    pub name: String,
    /// kubeadm's name of the authority that signs it; none for an authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// When it expires.
    pub not_after: Timestamp,
    /// Its serial number in hexadecimal digits: what an authority signs twice has two.
    #[serde(default)]
    pub serial_number: String,
}

impl CertificateSummary {
    /// The kubelet's client certificate, which the kubelet renews by itself.
    pub const KUBELET_CLIENT: &str = "kubelet.conf";
    /// The certificate that a kubelet serves with.
    pub const KUBELET_SERVING: &str = "kubelet-serving";
}
