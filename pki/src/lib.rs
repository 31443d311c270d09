//! Certificates, keys and kubeconfigs exactly as kubeadm makes them, from text to text.
//!
//! This crate reads no files, asks no clock and speaks to no network: PEM text and a
//! [`jiff::Timestamp`] come in, PEM text goes out. What kubeadm made is read, extended and renewed
//! so that kubeadm can go on with the result; `tests/pki/kubeadm.rs` holds both against each other.
//!
//! Certificates are encoded here, field by field as RFC 5280 writes them down, with the types of
//! `x509-cert`. `rcgen`, the usual choice, keeps a name as a map: a subject with two organizations
//! or with `DC=example,DC=com` loses one of them, and verifiers compare the issuer of a
//! certificate with the subject of its authority byte for byte.

mod bootstrap_token;
pub mod catalogue;
mod certificate_authority;
mod certificate_facts;
mod certificate_key;
mod certificate_profile;
mod certificate_request;
mod detached_signature;
mod encoding;
mod error;
mod hex;
mod key_algorithm;
mod kubeconfig;
mod kubeconfig_document;
mod parsed_certificate;
mod pem;
mod private_key;
mod public_key_pin;
mod validity;

pub use bootstrap_token::BootstrapToken;
pub use catalogue::{CertificateName, ControlPlaneNames, KubeconfigName, kubelet_serving_profile};
pub use certificate_authority::CertificateAuthority;
pub use certificate_facts::CertificateFacts;
pub use certificate_key::CertificateKey;
pub use certificate_profile::{CertificateProfile, NotBefore};
pub use certificate_request::certificate_request;
pub use error::PkiError;
pub use key_algorithm::{KeyAlgorithm, UnknownKeyAlgorithm};
pub use kubeconfig::{Credentials, Kubeconfig};
pub use private_key::PrivateKey;
pub use public_key_pin::public_key_pin;
pub use validity::{AUTHORITY_VALIDITY, BACKDATE, CERTIFICATE_VALIDITY};
