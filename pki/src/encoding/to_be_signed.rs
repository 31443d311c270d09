//! The outer structures of certificates and requests, and their signing.

use der::asn1::{Any, AnyRef, BitStringRef, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode, Sequence};
use pkcs8::AlgorithmIdentifierRef;
use std::net::IpAddr;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::time::Validity;

use super::extensions::subject_alternative_names;
use crate::{PkiError, PrivateKey};

/// X.509 version 3 is written as 2.
const VERSION_3: u8 = 2;
/// The only version of a certificate request is written as 0.
const REQUEST_VERSION: u8 = 0;
/// The attribute that holds the wanted extensions (RFC 2985 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// What a certificate says; names and the public key are DER, taken over as they are.
pub(crate) struct CertificateContent<'a> {
    pub(crate) serial_number: u64,
    pub(crate) issuer: &'a [u8],
    pub(crate) validity: Validity,
    pub(crate) subject: &'a [u8],
    pub(crate) subject_public_key_info: &'a [u8],
    pub(crate) extensions: Vec<Extension>,
}

impl CertificateContent<'_> {
    /// Returns the DER of the certificate, signed with `key`.
    pub(crate) fn sign(self, key: &PrivateKey) -> Result<Vec<u8>, PkiError> {
        let what = "the certificate";
        let signature = key.signature_algorithm().identifier();
        let to_be_signed = || {
            TbsCertificate {
                version: VERSION_3,
                serial_number: self.serial_number,
                signature,
                issuer: AnyRef::from_der(self.issuer)?,
                validity: self.validity,
                subject: AnyRef::from_der(self.subject)?,
                subject_public_key_info: AnyRef::from_der(self.subject_public_key_info)?,
                extensions: self.extensions,
            }
            .to_der()
        };
        sign(&to_be_signed().map_err(PkiError::encode(what))?, key, what)
    }
}

/// What a certificate request says; the subject and the public key are DER.
pub(crate) struct RequestContent<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) subject_public_key_info: &'a [u8],
    pub(crate) dns_names: &'a [String],
    pub(crate) ip_addresses: &'a [IpAddr],
}

impl RequestContent<'_> {
    /// Returns the DER of the request, signed with the subject's `key`.
    pub(crate) fn sign(self, key: &PrivateKey) -> Result<Vec<u8>, PkiError> {
        let what = "the certificate request";
        let to_be_signed = || {
            let names = subject_alternative_names(self.dns_names, self.ip_addresses)?;
            let attributes = names.map(|names| {
                let wanted = Any::encode_from(&vec![names])?;
                Ok(Attribute {
                    oid: EXTENSION_REQUEST,
                    values: SetOfVec::try_from(vec![wanted])?,
                })
            });
            let attributes = attributes.into_iter().collect::<der::Result<Vec<_>>>()?;
            CertificationRequestInfo {
                version: REQUEST_VERSION,
                subject: AnyRef::from_der(self.subject)?,
                subject_public_key_info: AnyRef::from_der(self.subject_public_key_info)?,
                attributes: SetOfVec::try_from(attributes)?,
            }
            .to_der()
        };
        sign(&to_be_signed().map_err(PkiError::encode(what))?, key, what)
    }
}

/// TBSCertificate of RFC 5280 4.1, without the unique identifiers that nobody uses.
#[derive(Sequence)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial_number: u64,
    signature: AlgorithmIdentifierRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: AnyRef<'a>,
    subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// CertificationRequestInfo of RFC 2986 4.1.
#[derive(Sequence)]
struct CertificationRequestInfo<'a> {
    version: u8,
    subject: AnyRef<'a>,
    subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true")]
    attributes: SetOfVec<Attribute>,
}

/// Certificate of RFC 5280 4.1 and CertificationRequest of RFC 2986 4.2 share this shape.
#[derive(Sequence)]
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    signature: BitStringRef<'a>,
}

fn sign(content: &[u8], key: &PrivateKey, what: &'static str) -> Result<Vec<u8>, PkiError> {
    let signature = key.sign(content)?;
    let encode = || {
        Signed {
            content: AnyRef::from_der(content)?,
            algorithm: key.signature_algorithm().identifier(),
            signature: BitStringRef::from_bytes(&signature)?,
        }
        .to_der()
    };
    encode().map_err(PkiError::encode(what))
}
