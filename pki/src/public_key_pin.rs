//! The pin of an authority's public key, by which joining nodes recognise their cluster.

use crate::{CertificateFacts, PkiError};

/// Returns `sha256:<hex>` of the first certificate's public key: kubeadm's
/// `--discovery-token-ca-cert-hash` (SHA-256 over the SubjectPublicKeyInfo, RFC 7469).
///
/// # Errors
/// The errors of [`CertificateFacts::parse`].
pub fn public_key_pin(authority_pem: &str) -> Result<String, PkiError> {
    CertificateFacts::parse(authority_pem).map(|facts| facts.public_key_pin())
}
