//! Names that a certificate is valid for, parsed as kubeadm parses `certSANs`.

use std::net::IpAddr;
use std::str::FromStr;

use crate::{CertificateProfile, PkiError};

/// Characters that a DNS name may have at most (RFC 1123).
const LONGEST_DNS_NAME: usize = 253;
/// Characters that a part between two dots may have at most.
const LONGEST_LABEL: usize = 63;

/// An IP address or a DNS name, the latter possibly with a wildcard as its first part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SubjectAlternativeName {
    Dns(String),
    Ip(IpAddr),
}

impl SubjectAlternativeName {
    /// Adds this name to the profile's names.
    pub(super) fn add_to(self, profile: &mut CertificateProfile) {
        match self {
            Self::Dns(name) => profile.dns_sans.push(name),
            Self::Ip(address) => profile.ip_sans.push(address),
        }
    }
}

impl FromStr for SubjectAlternativeName {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let without_wildcard = text.strip_prefix("*.").unwrap_or(text);
        if is_dns_name(without_wildcard) && text.len() <= LONGEST_DNS_NAME {
            return Ok(Self::Dns(text.to_owned()));
        }
        Err(PkiError::InvalidName {
            value: text.to_owned(),
        })
    }
}

/// Returns the host of an endpoint: `host`, `host:port`, `[IPv6]:port` or a bare IPv6 address.
pub(super) fn endpoint_host(endpoint: &str) -> Result<SubjectAlternativeName, PkiError> {
    let invalid = || PkiError::InvalidEndpoint {
        value: endpoint.to_owned(),
    };
    if let Ok(address) = endpoint.parse() {
        return Ok(SubjectAlternativeName::Ip(address));
    }
    let (host, port) = match endpoint.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (endpoint, None),
    };
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        return Err(invalid());
    }
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = host.parse() {
        return Ok(SubjectAlternativeName::Ip(address));
    }
    if is_dns_name(host) {
        return Ok(SubjectAlternativeName::Dns(host.to_owned()));
    }
    Err(invalid())
}

/// Kubernetes' RFC 1123 subdomain, except names of digits only: those are addresses with a typo.
fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !bytes.is_empty()
            && bytes.len() <= LONGEST_LABEL
            && bytes.first().is_some_and(is_alphanumeric)
            && bytes.last().is_some_and(is_alphanumeric)
            && bytes.iter().all(|b| is_alphanumeric(b) || *b == b'-')
    };
    let last_is_number = text
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= LONGEST_DNS_NAME && text.split('.').all(is_label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        let dns = |text: &str| SubjectAlternativeName::Dns(text.to_owned());
        let ip = |text: &str| SubjectAlternativeName::Ip(text.parse().unwrap());
        for (text, expected) in [
            ("localhost", dns("localhost")),
            ("*.harbour.example", dns("*.harbour.example")),
            ("1.example", dns("1.example")),
            ("127.0.0.1", ip("127.0.0.1")),
            ("::1", ip("::1")),
        ] {
            assert_eq!(text.parse::<SubjectAlternativeName>().unwrap(), expected);
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "*",
            "a..b",
            "-a",
            "a-",
            "A",
            "under_score",
            "a b",
            "*.*.a",
            "10.0.0.256",
            "10.0.0",
            "a/b",
            "https://a",
        ] {
            assert!(text.parse::<SubjectAlternativeName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_endpoint_is_refused() {
        for text in [
            "",
            ":6443",
            "a:0",
            "a:70000",
            "a:b",
            "https://a:6443",
            "*.a:1",
        ] {
            assert!(endpoint_host(text).is_err(), "{text}");
        }
    }
}
