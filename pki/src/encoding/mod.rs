//! Certificates and requests as bytes: the structures of RFC 5280 and RFC 2986, written as Go does.

mod extensions;
mod name;
mod signature_algorithm;
mod to_be_signed;

pub(crate) use extensions::{ExtensionPlan, encode_extensions};
pub(crate) use name::encode_name;
pub(crate) use signature_algorithm::SignatureAlgorithm;
pub(crate) use to_be_signed::{CertificateContent, RequestContent};
