//! What a certificate says, and how it differs from what it should say.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage};

use crate::hex::to_hex;
use crate::parsed_certificate::{
    certificates_from_pem, common_name, describe_public_key, parse_certificate,
};
use crate::pem::{CERTIFICATE, encode_pem};
use crate::{CertificateProfile, NotBefore, PkiError, PrivateKey};

const SERVER_AUTH: &str = "serverAuth";
const CLIENT_AUTH: &str = "clientAuth";
/// What the sentence begins with about something that a profile does not want.
const SURPLUS: &str = "it has the unwanted";

/// What one certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// Common name of the subject, empty when there is none.
    pub common_name: String,
    /// Organizations of the subject, in the certificate's order.
    pub organizations: Vec<String>,
    /// Common name of the issuer, empty when there is none.
    pub issuer_common_name: String,
    /// DNS names that the certificate is valid for, in the certificate's order.
    pub dns_sans: Vec<String>,
    /// IP addresses that the certificate is valid for, in the certificate's order.
    pub ip_sans: Vec<IpAddr>,
    /// The first second at which the certificate is valid.
    pub not_before: Timestamp,
    /// The last second at which the certificate is valid.
    pub not_after: Timestamp,
    /// Whether the certificate is an authority's.
    pub is_ca: bool,
    /// Serial number in hexadecimal digits.
    pub serial_number: String,
    /// The key's algorithm, for example `RSA-2048`, or an object identifier.
    pub key_algorithm: String,
    /// Key usages by their names in RFC 5280, for example `digitalSignature`.
    pub key_usages: Vec<String>,
    /// Extended key usages: `serverAuth`, `clientAuth`, other names, or object identifiers.
    pub extended_key_usages: Vec<String>,
    /// SHA-256 of the SubjectPublicKeyInfo in hexadecimal digits.
    pub public_key_sha256: String,
    #[serde(skip)]
    public_key: Vec<u8>,
    #[serde(skip)]
    der: Vec<u8>,
}

impl CertificateFacts {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`PkiError::PemBlockMissing`], [`PkiError::PemDamaged`] and [`PkiError::Parse`].
    pub fn parse(pem: &str) -> Result<Self, PkiError> {
        let certificates = certificates_from_pem(pem)?;
        Self::from_der(certificates.first().expect("at least one was found"))
    }

    /// Reads all certificates of a PEM text, at least one, for example of a bundle of authorities.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_all(pem: &str) -> Result<Vec<Self>, PkiError> {
        certificates_from_pem(pem)?
            .iter()
            .map(|der| Self::from_der(der))
            .collect()
    }

    /// Returns `sha256:<hex>` of the public key; see [`crate::public_key_pin`].
    pub fn public_key_pin(&self) -> String {
        format!("sha256:{}", self.public_key_sha256)
    }

    /// Returns whether a TLS server may present the certificate.
    pub fn server_auth(&self) -> bool {
        self.extended_key_usages.iter().any(|u| u == SERVER_AUTH)
    }

    /// Returns whether a TLS client may present the certificate.
    pub fn client_auth(&self) -> bool {
        self.extended_key_usages.iter().any(|u| u == CLIENT_AUTH)
    }

    /// Returns whether the certificate is valid at `moment`.
    pub fn is_valid_at(&self, moment: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&moment)
    }

    /// Returns whether `key` is the private half of the certificate's key.
    pub fn matches_key(&self, key: &PrivateKey) -> bool {
        self.public_key == key.public_key_bytes()
    }

    /// Returns whether one of the authorities in `authority_pem` signed the certificate: names
    /// equal byte for byte, the signature valid (RSA, ECDSA P-256 and P-384, Ed25519). Dates are not
    /// looked at.
    ///
    /// # Errors
    /// The errors of reading `authority_pem`.
    pub fn is_signed_by(&self, authority_pem: &str) -> Result<bool, PkiError> {
        let certificate = parse_certificate(&self.der)?;
        for der in certificates_from_pem(authority_pem)? {
            let authority = parse_certificate(&der)?;
            if authority.is_ca()
                && authority.subject().as_raw() == certificate.issuer().as_raw()
                && certificate
                    .verify_signature(Some(authority.public_key()))
                    .is_ok()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the first certificate of `chain_pem` was issued below one of the authorities
    /// in `authority_pem`: by it, or by an intermediate authority that stands behind the certificate
    /// in the same text, as kubeadm accepts it. Dates are not looked at.
    ///
    /// # Errors
    /// The errors of reading either text.
    pub fn chain_leads_to(chain_pem: &str, authority_pem: &str) -> Result<bool, PkiError> {
        let mut chain = certificates_from_pem(chain_pem)?;
        let mut current = Self::from_der(&chain.remove(0))?;
        loop {
            if current.is_signed_by(authority_pem)? {
                return Ok(true);
            }
            let mut issuer = None;
            for (index, der) in chain.iter().enumerate() {
                if current.is_signed_by(&encode_pem(CERTIFICATE, der))? {
                    issuer = Some(index);
                    break;
                }
            }
            let Some(index) = issuer else {
                return Ok(false);
            };
            // Each is taken once, so that a ring of authorities has an end.
            current = Self::from_der(&chain.remove(index))?;
        }
    }

    /// Returns whether this is a certificate authority's that may sign others.
    pub fn may_sign(&self) -> bool {
        let is_allowed = |usage: &String| usage == "keyCertSign";
        self.is_ca && (self.key_usages.is_empty() || self.key_usages.iter().any(is_allowed))
    }

    /// Returns the profile that this certificate was issued from, which is how kubeadm renews:
    /// what the old certificate says is kept.
    pub fn profile(&self) -> CertificateProfile {
        CertificateProfile {
            common_name: self.common_name.clone(),
            organizations: self.organizations.clone(),
            dns_sans: self.dns_sans.clone(),
            ip_sans: self.ip_sans.clone(),
            server_auth: self.server_auth(),
            client_auth: self.client_auth(),
            not_before: NotBefore::Backdated,
        }
    }

    /// Returns in plain words what differs from `profile`, one sentence each; nothing when the
    /// certificate says what the profile wants. Dates and keys are not looked at.
    pub fn difference_from(&self, profile: &CertificateProfile) -> Vec<String> {
        let mut differences = Vec::new();
        if self.common_name != profile.common_name {
            differences.push(format!(
                "the common name is `{}` instead of `{}`",
                self.common_name, profile.common_name
            ));
        }
        let wanted = profile.normalized();
        compare(
            "organization",
            &self.organizations,
            &wanted.organizations,
            &mut differences,
        );
        compare(
            "DNS name",
            &self.dns_sans,
            &wanted.dns_sans,
            &mut differences,
        );
        compare(
            "IP address",
            &self.ip_sans,
            &wanted.ip_sans,
            &mut differences,
        );
        let wanted_usages: Vec<String> = [
            profile.server_auth.then(|| SERVER_AUTH.to_owned()),
            profile.client_auth.then(|| CLIENT_AUTH.to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        compare(
            "extended key usage",
            &self.extended_key_usages,
            &wanted_usages,
            &mut differences,
        );
        if self.is_ca && !wanted_usages.is_empty() {
            differences.push("the certificate is an authority's and should not be".to_owned());
        }
        differences
    }

    /// Returns in plain words what `profile` wants and the certificate does not have, one sentence
    /// each. What it has beyond that is its issuer's affair. Dates and keys are not looked at.
    pub fn shortcomings(&self, profile: &CertificateProfile) -> Vec<String> {
        let differences = self.difference_from(profile);
        let is_surplus = |line: &String| line.starts_with(SURPLUS);
        differences
            .into_iter()
            .filter(|line| !is_surplus(line))
            .collect()
    }

    /// Reads a certificate as TLS carries it.
    ///
    /// # Errors
    /// [`PkiError::Parse`].
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let certificate = parse_certificate(der)?;
        let (dns_sans, ip_sans) = subject_alternative_names(&certificate)?;
        let key_usage = certificate.key_usage().map_err(parse_error)?;
        let extended_key_usage = certificate.extended_key_usage().map_err(parse_error)?;
        let public_key_info = certificate.public_key();
        let digest = digest::digest(&digest::SHA256, public_key_info.raw);
        Ok(Self {
            common_name: common_name(certificate.subject()),
            organizations: certificate
                .subject()
                .iter_organization()
                .map(|attribute| String::from_utf8_lossy(attribute.as_slice()).into_owned())
                .collect(),
            issuer_common_name: common_name(certificate.issuer()),
            dns_sans,
            ip_sans,
            not_before: to_timestamp(certificate.validity().not_before.timestamp()),
            not_after: to_timestamp(certificate.validity().not_after.timestamp()),
            is_ca: certificate.is_ca(),
            serial_number: to_hex(certificate.raw_serial()),
            key_algorithm: describe_public_key(public_key_info),
            key_usages: key_usage
                .map(|usage| key_usage_names(usage.value))
                .unwrap_or_default(),
            extended_key_usages: extended_key_usage
                .map(|usage| extended_key_usage_names(usage.value))
                .unwrap_or_default(),
            public_key_sha256: to_hex(digest.as_ref()),
            public_key: public_key_info.subject_public_key.data.to_vec(),
            der: der.to_vec(),
        })
    }
}

/// Adds a sentence for what `actual` lacks and one for what it has too much; order is ignored.
fn compare<T: Ord + Clone + ToString>(
    noun: &str,
    actual: &[T],
    wanted: &[T],
    differences: &mut Vec<String>,
) {
    let actual: BTreeSet<&T> = actual.iter().collect();
    let wanted: BTreeSet<&T> = wanted.iter().collect();
    let list = |items: Vec<&&T>| {
        let quoted: Vec<_> = items
            .iter()
            .map(|i| format!("`{}`", i.to_string()))
            .collect();
        quoted.join(", ")
    };
    let missing: Vec<_> = wanted.difference(&actual).collect();
    if !missing.is_empty() {
        differences.push(format!("it lacks the {noun} {}", list(missing)));
    }
    let surplus: Vec<_> = actual.difference(&wanted).collect();
    if !surplus.is_empty() {
        differences.push(format!("{SURPLUS} {noun} {}", list(surplus)));
    }
}

fn subject_alternative_names(
    certificate: &X509Certificate<'_>,
) -> Result<(Vec<String>, Vec<IpAddr>), PkiError> {
    let mut dns = Vec::new();
    let mut ip = Vec::new();
    let Some(names) = certificate
        .subject_alternative_name()
        .map_err(parse_error)?
    else {
        return Ok((dns, ip));
    };
    for name in &names.value.general_names {
        if let GeneralName::DNSName(name) = name {
            dns.push((*name).to_owned());
        } else if let GeneralName::IPAddress(octets) = name {
            ip.extend(to_ip_address(octets));
        }
    }
    Ok((dns, ip))
}

fn to_ip_address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn key_usage_names(usage: &KeyUsage) -> Vec<String> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .map(|(_, name)| name.to_owned())
    .collect()
}

fn extended_key_usage_names(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    [
        (usage.server_auth, SERVER_AUTH),
        (usage.client_auth, CLIENT_AUTH),
        (usage.any, "anyExtendedKeyUsage"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .map(|(_, name)| name.to_owned())
    .chain(usage.other.iter().map(|oid| oid.to_id_string()))
    .collect()
}

fn to_timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a certificate's years 0 to 9999 fit into a timestamp")
}

fn parse_error(source: x509_parser::error::X509Error) -> PkiError {
    PkiError::Parse {
        what: "certificate",
        source,
    }
}
