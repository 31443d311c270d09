//! Certificate requests: a host makes its key and asks, an authority elsewhere signs.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::encoding::{RequestContent, encode_name};
use crate::parsed_certificate::{describe_public_key, into_x509_error};
use crate::pem::{CERTIFICATE_REQUEST, encode_pem, parse_pem};
use crate::{CertificateProfile, PkiError, PrivateKey};

/// The smallest RSA modulus that a request may carry, in bits.
const SMALLEST_RSA: usize = 2048;

/// Returns a PEM certificate request for `profile`, signed with the subject's `key`.
///
/// # Errors
/// [`PkiError::ProfileIncomplete`] and [`PkiError::Encode`] for a profile that no certificate can
/// hold, [`PkiError::Sign`] when the key fails.
pub fn certificate_request(
    key: &PrivateKey,
    profile: &CertificateProfile,
) -> Result<String, PkiError> {
    profile.check_complete()?;
    let profile = profile.normalized();
    let request = RequestContent {
        subject: &encode_name(&profile.common_name, &profile.organizations)?,
        subject_public_key_info: &key.public_key_info(),
        dns_names: &profile.dns_sans,
        ip_addresses: &profile.ip_sans,
    };
    Ok(encode_pem(CERTIFICATE_REQUEST, &request.sign(key)?).to_string())
}

/// Returns the DER of the public key that a request carries, after checking that its sender holds
/// the private half. Everything else in the request is left alone.
pub(crate) fn requested_public_key_info(request_pem: &str) -> Result<Vec<u8>, PkiError> {
    let block = parse_pem(request_pem)?
        .into_iter()
        // OpenSSL once wrote "NEW CERTIFICATE REQUEST".
        .find(|block| block.label.ends_with(CERTIFICATE_REQUEST))
        .ok_or(PkiError::PemBlockMissing {
            wanted: "certificate request",
        })?;
    let (_, request) =
        X509CertificationRequest::from_der(&block.der).map_err(|error| PkiError::Parse {
            what: "certificate request",
            source: into_x509_error(error),
        })?;

    let info = &request.certification_request_info.subject_pki;
    let algorithm = describe_public_key(info);
    if !is_accepted(&algorithm) {
        return Err(PkiError::RequestKeyUnsupported { algorithm });
    }
    request
        .verify_signature()
        .map_err(|_| PkiError::RequestSignature)?;
    Ok(info.raw.to_vec())
}

fn is_accepted(algorithm: &str) -> bool {
    match algorithm.strip_prefix("RSA-") {
        Some(bits) => bits.parse().is_ok_and(|bits: usize| bits >= SMALLEST_RSA),
        None => matches!(algorithm, "ECDSA-P256" | "ECDSA-P384"),
    }
}
