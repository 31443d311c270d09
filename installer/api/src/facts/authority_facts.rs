//! A key pair on a control-plane host that others trust: an authority's, or `sa`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One of kubeadm's authorities, or the service account key pair, as far as it
/// is there. Nothing in it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthorityFacts {
    /// kubeadm's name: `ca`, `front-proxy-ca`, `etcd-ca` or `sa`.
    pub name: String,
    /// Whether the certificate is there; for `sa` the public key.
    pub has_certificate: bool,
    /// Whether the private key is there.
    pub has_key: bool,
    /// Why nobody can work with what is there.
    pub trouble: Option<String>,
    /// From when on the certificate is valid.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
}

impl AuthorityFacts {
    /// Returns whether somebody else signs: the certificate is there without
    /// its key, which is how kubeadm tells an external CA.
    pub fn is_external(&self) -> bool {
        self.has_certificate && !self.has_key
    }
}
