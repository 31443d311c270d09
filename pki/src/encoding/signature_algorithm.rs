//! The algorithms that sign certificates and requests.

use der::asn1::{AnyRef, ObjectIdentifier};
use pkcs8::AlgorithmIdentifierRef;

/// A signature algorithm of RFC 5758 or RFC 8017.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    /// sha256WithRSAEncryption.
    RsaSha256,
    /// ecdsa-with-SHA256.
    EcdsaSha256,
    /// ecdsa-with-SHA384.
    EcdsaSha384,
}

impl SignatureAlgorithm {
    /// Returns the identifier that stands in certificates.
    pub(crate) fn identifier(self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            Self::RsaSha256 => ("1.2.840.113549.1.1.11", Some(AnyRef::NULL)),
            Self::EcdsaSha256 => ("1.2.840.10045.4.3.2", None),
            Self::EcdsaSha384 => ("1.2.840.10045.4.3.3", None),
        };
        AlgorithmIdentifierRef {
            oid: ObjectIdentifier::new_unwrap(oid),
            parameters,
        }
    }
}
