//! Reading certificates: from PEM text to the structures of the parser.

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use crate::PkiError;
use crate::pem::{CERTIFICATE, parse_pem};

/// Returns the DER of all certificates of a PEM text, at least one.
pub(crate) fn certificates_from_pem(text: &str) -> Result<Vec<Vec<u8>>, PkiError> {
    let certificates: Vec<_> = parse_pem(text)?
        .into_iter()
        .filter(|block| block.label == CERTIFICATE)
        .map(|block| block.der.to_vec())
        .collect();
    if certificates.is_empty() {
        return Err(PkiError::PemBlockMissing {
            wanted: "certificate",
        });
    }
    Ok(certificates)
}

/// Parses the DER of one certificate.
pub(crate) fn parse_certificate(der: &[u8]) -> Result<X509Certificate<'_>, PkiError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| PkiError::Parse {
            what: "certificate",
            source: into_x509_error(error),
        })
}

/// Returns the first common name, or an empty text.
pub(crate) fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name()
        .next()
        .map(|attribute| String::from_utf8_lossy(attribute.as_slice()).into_owned())
        .unwrap_or_default()
}

/// Returns a public key's algorithm in kubeadm's spelling, or its object identifier.
pub(crate) fn describe_public_key(info: &SubjectPublicKeyInfo<'_>) -> String {
    let curve = || info.algorithm.parameters.as_ref()?.as_oid().ok();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA-{}", key.key_size()),
        Ok(PublicKey::EC(_)) => match curve() {
            Some(curve) if curve == oid!(1.2.840.10045.3.1.7) => "ECDSA-P256".to_owned(),
            Some(curve) if curve == oid!(1.3.132.0.34) => "ECDSA-P384".to_owned(),
            Some(curve) if curve == oid!(1.3.132.0.35) => "ECDSA-P521".to_owned(),
            Some(curve) => format!("ECDSA-{curve}"),
            None => "ECDSA".to_owned(),
        },
        Ok(
            PublicKey::DSA(_)
            | PublicKey::GostR3410(_)
            | PublicKey::GostR3410_2012(_)
            | PublicKey::Unknown(_),
        )
        | Err(_) => info.algorithm.algorithm.to_id_string(),
    }
}

/// Returns the reason inside the parser's wrapper.
pub(crate) fn into_x509_error(
    error: x509_parser::nom::Err<x509_parser::error::X509Error>,
) -> x509_parser::error::X509Error {
    match error {
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => error,
        x509_parser::nom::Err::Incomplete(_) => x509_parser::error::X509Error::InvalidCertificate,
    }
}
