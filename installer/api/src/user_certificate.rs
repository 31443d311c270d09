//! A user's certificate, and what a kubeconfig needs beside it.

use serde::{Deserialize, Serialize};

/// A user's certificate, and what a kubeconfig needs beside it; no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// The cluster's CA certificates.
    pub ca_pem: String,
    /// The API server's URL for administrators.
    pub server: String,
    /// What kubeadm calls the cluster.
    pub cluster_name: String,
}
