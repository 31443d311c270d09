//! Certificate extensions, in the order, criticality and form that Go writes.

use std::net::IpAddr;

use der::Encode;
use der::asn1::{Ia5String, ObjectIdentifier, OctetString};
use der::oid::AssociatedOid;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};

use crate::PkiError;

/// TLS server authentication (RFC 5280 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// TLS client authentication (RFC 5280 4.2.1.12).
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// What the extensions of one certificate say.
pub(crate) struct ExtensionPlan<'a> {
    pub(crate) is_authority: bool,
    pub(crate) server_auth: bool,
    pub(crate) client_auth: bool,
    pub(crate) subject_key_identifier: Option<&'a [u8]>,
    pub(crate) authority_key_identifier: Option<&'a [u8]>,
    pub(crate) dns_names: &'a [String],
    pub(crate) ip_addresses: &'a [IpAddr],
}

/// Returns the extensions that kubeadm's certificates carry.
///
/// keyEncipherment stands even with ECDSA keys and cRLSign in no authority, as kubeadm has it.
pub(crate) fn encode_extensions(plan: &ExtensionPlan<'_>) -> Result<Vec<Extension>, PkiError> {
    extensions(plan).map_err(PkiError::encode("the certificate extensions"))
}

/// Returns the extension that carries subject alternative names, or `None` when there are none.
pub(crate) fn subject_alternative_names(
    dns_names: &[String],
    ip_addresses: &[IpAddr],
) -> der::Result<Option<Extension>> {
    if dns_names.is_empty() && ip_addresses.is_empty() {
        return Ok(None);
    }
    let dns_names = dns_names
        .iter()
        .map(|name| Ok(GeneralName::DnsName(Ia5String::new(name)?)));
    let ip_addresses = ip_addresses.iter().map(|address| {
        let octets = match address.to_canonical() {
            IpAddr::V4(v4) => OctetString::new(v4.octets()),
            IpAddr::V6(v6) => OctetString::new(v6.octets()),
        };
        octets.map(GeneralName::IpAddress)
    });
    let names = dns_names
        .chain(ip_addresses)
        .collect::<der::Result<Vec<_>>>()?;
    extension(false, &SubjectAltName(names)).map(Some)
}

fn extensions(plan: &ExtensionPlan<'_>) -> der::Result<Vec<Extension>> {
    let mut list = Vec::new();

    let mut key_usage = KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment;
    if plan.is_authority {
        key_usage |= KeyUsages::KeyCertSign;
    }
    list.push(extension(true, &KeyUsage(key_usage))?);

    let purposes: Vec<_> = [
        plan.server_auth.then_some(SERVER_AUTH),
        plan.client_auth.then_some(CLIENT_AUTH),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !purposes.is_empty() {
        list.push(extension(false, &ExtendedKeyUsage(purposes))?);
    }

    let basic_constraints = BasicConstraints {
        ca: plan.is_authority,
        path_len_constraint: None,
    };
    list.push(extension(true, &basic_constraints)?);

    if let Some(identifier) = plan.subject_key_identifier {
        let identifier = SubjectKeyIdentifier(OctetString::new(identifier)?);
        list.push(extension(false, &identifier)?);
    }
    if let Some(identifier) = plan.authority_key_identifier {
        let identifier = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(identifier)?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        list.push(extension(false, &identifier)?);
    }
    list.extend(subject_alternative_names(
        plan.dns_names,
        plan.ip_addresses,
    )?);
    Ok(list)
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}
