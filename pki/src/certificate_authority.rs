//! Certificate authorities: made anew, or taken over from kubeadm or anyone else.

use std::time::Duration;

use aws_lc_rs::{digest, rand};
use jiff::Timestamp;
use x509_parser::extensions::ParsedExtension;

use crate::certificate_request::requested_public_key_info;
use crate::encoding::{CertificateContent, ExtensionPlan, encode_extensions, encode_name};
use crate::parsed_certificate::{certificates_from_pem, common_name, parse_certificate};
use crate::pem::{CERTIFICATE, encode_pem};
use crate::validity::Lifetime;
use crate::{CertificateProfile, NotBefore, PkiError, PrivateKey};

/// Octets of a key identifier (RFC 7093, method 1).
const KEY_IDENTIFIER: usize = 20;
/// The largest serial number that kubeadm hands out: it draws uniformly from 1 to 2^63 - 2.
const LARGEST_SERIAL: u64 = (1 << 63) - 2;

/// A certificate with its private key that signs other certificates.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    key: PrivateKey,
    certificate_pem: String,
    /// The subject's DER, which becomes the issuer of all that is issued, byte for byte.
    subject: Vec<u8>,
    key_identifier: Option<Vec<u8>>,
    not_before: Timestamp,
}

impl CertificateAuthority {
    /// Creates a self-signed authority as kubeadm does, valid from five minutes before `now` until
    /// `validity` after it ([`crate::AUTHORITY_VALIDITY`] by default).
    ///
    /// # Errors
    /// [`PkiError::ProfileIncomplete`] without a common name, [`PkiError::TimeOutOfRange`],
    /// [`PkiError::Encode`], [`PkiError::Random`] and [`PkiError::Sign`].
    pub fn create(
        common_name: &str,
        key: &PrivateKey,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Self, PkiError> {
        if common_name.is_empty() {
            return Err(PkiError::ProfileIncomplete {
                common_name: String::new(),
                missing: "common name",
            });
        }
        let subject = encode_name(common_name, &[])?;
        let digest = digest::digest(&digest::SHA256, key.public_key_bytes());
        let key_identifier = &digest.as_ref()[..KEY_IDENTIFIER];
        let lifetime = Lifetime::backdated(now, validity)?;

        let certificate = CertificateContent {
            serial_number: random_serial_number()?,
            issuer: &subject,
            validity: lifetime.to_validity()?,
            subject: &subject,
            subject_public_key_info: &key.public_key_info(),
            extensions: encode_extensions(&ExtensionPlan {
                is_authority: true,
                server_auth: false,
                client_auth: false,
                subject_key_identifier: Some(key_identifier),
                authority_key_identifier: None,
                dns_names: &[common_name.to_owned()],
                ip_addresses: &[],
            })?,
        };
        Self::from_der(&certificate.sign(key)?, key.clone())
    }

    /// Takes over an existing authority; of several certificates the first counts, as in kubeadm.
    ///
    /// # Errors
    /// [`PkiError::NotAnAuthority`] when the certificate may not sign,
    /// [`PkiError::AuthorityKeyMismatch`] when the key is another's, and the errors of reading
    /// certificates and keys.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let certificates = certificates_from_pem(certificate_pem)?;
        let first = certificates.first().expect("at least one was found");
        Self::from_der(first, PrivateKey::from_pem(key_pem)?)
    }

    /// Returns the authority's own certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the authority's private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Issues a certificate for the holder of `subject_key`, valid until `validity` after `now`
    /// ([`crate::CERTIFICATE_VALIDITY`] by default).
    ///
    /// # Errors
    /// [`PkiError::ProfileIncomplete`], [`PkiError::TimeOutOfRange`], [`PkiError::Encode`],
    /// [`PkiError::Random`] and [`PkiError::Sign`].
    pub fn issue(
        &self,
        profile: &CertificateProfile,
        subject_key: &PrivateKey,
        now: Timestamp,
        validity: Duration,
    ) -> Result<String, PkiError> {
        self.issue_for(profile, &subject_key.public_key_info(), now, validity)
    }

    /// Issues a certificate for the sender of a certificate request.
    ///
    /// The request's signature is checked and its public key is taken, nothing else: subject,
    /// names and uses come from `profile`, so a host cannot ask for more than the plan gives it.
    ///
    /// # Errors
    /// [`PkiError::RequestSignature`], [`PkiError::RequestKeyUnsupported`], and the errors of
    /// reading a request and of [`Self::issue`].
    pub fn sign_request(
        &self,
        request_pem: &str,
        profile: &CertificateProfile,
        now: Timestamp,
        validity: Duration,
    ) -> Result<String, PkiError> {
        let public_key_info = requested_public_key_info(request_pem)?;
        self.issue_for(profile, &public_key_info, now, validity)
    }

    fn issue_for(
        &self,
        profile: &CertificateProfile,
        public_key_info: &[u8],
        now: Timestamp,
        validity: Duration,
    ) -> Result<String, PkiError> {
        profile.check_complete()?;
        let profile = profile.normalized();
        let subject = encode_name(&profile.common_name, &profile.organizations)?;
        let backdated = Lifetime::backdated(now, validity)?;
        let lifetime = match profile.not_before {
            NotBefore::Backdated => backdated,
            NotBefore::Authority => backdated.starting_at(self.not_before),
        };
        // Go leaves the identifier out where issuer and subject have the same name.
        let authority_key_identifier = self
            .key_identifier
            .as_deref()
            .filter(|_| subject != self.subject);

        let certificate = CertificateContent {
            serial_number: random_serial_number()?,
            issuer: &self.subject,
            validity: lifetime.to_validity()?,
            subject: &subject,
            subject_public_key_info: public_key_info,
            extensions: encode_extensions(&ExtensionPlan {
                is_authority: false,
                server_auth: profile.server_auth,
                client_auth: profile.client_auth,
                subject_key_identifier: None,
                authority_key_identifier,
                dns_names: &profile.dns_sans,
                ip_addresses: &profile.ip_sans,
            })?,
        };
        Ok(encode_pem(CERTIFICATE, &certificate.sign(&self.key)?).to_string())
    }

    fn from_der(der: &[u8], key: PrivateKey) -> Result<Self, PkiError> {
        let certificate = parse_certificate(der)?;
        let common_name = common_name(certificate.subject());
        let may_sign = certificate
            .key_usage()
            .ok()
            .flatten()
            .is_none_or(|usage| usage.value.key_cert_sign());
        if !certificate.is_ca() || !may_sign {
            return Err(PkiError::NotAnAuthority { common_name });
        }
        if *certificate.public_key().subject_public_key.data != *key.public_key_bytes() {
            return Err(PkiError::AuthorityKeyMismatch { common_name });
        }

        let key_identifier = certificate.iter_extensions().find_map(|extension| {
            if let ParsedExtension::SubjectKeyIdentifier(identifier) = extension.parsed_extension()
            {
                Some(identifier.0.to_vec())
            } else {
                None
            }
        });
        let started = certificate.validity().not_before.timestamp();
        Ok(Self {
            key,
            certificate_pem: encode_pem(CERTIFICATE, der).to_string(),
            subject: certificate.subject().as_raw().to_vec(),
            key_identifier,
            not_before: Timestamp::from_second(started)
                .expect("a certificate's years 0 to 9999 fit into a timestamp"),
        })
    }
}

fn random_serial_number() -> Result<u64, PkiError> {
    loop {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes).map_err(|_| PkiError::Random)?;
        // Drawn again rather than reduced, so that every number is equally likely.
        let number = u64::from_be_bytes(bytes) >> 1;
        if (1..=LARGEST_SERIAL).contains(&number) {
            return Ok(number);
        }
    }
}
