//! What a certificate says, what differs, and profiles that cannot be issued.

use std::net::IpAddr;

use crate::common::NOW;
use jiff::Timestamp;
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateFacts,
    CertificateProfile, KeyAlgorithm, NotBefore, PkiError, PrivateKey,
};

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn authority() -> CertificateAuthority {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    CertificateAuthority::create("kubernetes", &key, now(), AUTHORITY_VALIDITY).unwrap()
}

fn profile() -> CertificateProfile {
    let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
    CertificateProfile {
        common_name: "kube-apiserver".to_owned(),
        organizations: list(&["b-team", "a"]),
        dns_sans: list(&["kubernetes", "cp-1", "kubernetes"]),
        ip_sans: vec!["192.0.2.10".parse().unwrap(), "::1".parse().unwrap()],
        server_auth: true,
        client_auth: false,
        not_before: NotBefore::Backdated,
    }
}

fn facts_of(profile: &CertificateProfile) -> CertificateFacts {
    let authority = authority();
    let pem = authority.issue(profile, authority.key(), now(), CERTIFICATE_VALIDITY);
    CertificateFacts::parse(&pem.unwrap()).unwrap()
}

#[test]
fn facts_repeat_what_was_issued() {
    let facts = facts_of(&profile());
    assert_eq!(facts.common_name, "kube-apiserver");
    assert_eq!(facts.organizations, ["a", "b-team"]);
    assert_eq!(facts.issuer_common_name, "kubernetes");
    assert_eq!(facts.dns_sans, ["cp-1", "kubernetes"]);
    let addresses: Vec<_> = facts.ip_sans.iter().map(IpAddr::to_string).collect();
    assert_eq!(addresses, ["192.0.2.10", "::1"]);
    assert_eq!(facts.not_before.to_string(), "2026-11-21T08:55:00Z");
    assert_eq!(facts.not_after.to_string(), "2027-11-21T09:00:00Z");
    assert!(!facts.is_ca);
    assert_eq!(facts.key_algorithm, "ECDSA-P256");
    assert_eq!(facts.key_usages, ["digitalSignature", "keyEncipherment"]);
    assert_eq!(facts.extended_key_usages, ["serverAuth"]);
    assert_eq!(facts.public_key_sha256.len(), 64);
}

#[test]
fn facts_as_json_hold_no_raw_certificate() {
    let json = serde_json::to_value(facts_of(&profile())).unwrap();
    assert_eq!(json["notAfter"], "2027-11-21T09:00:00Z");
    assert_eq!(json["commonName"], "kube-apiserver");
    assert!(json.get("der").is_none());
}

#[test]
fn serial_numbers_are_positive_and_differ() {
    let numbers: Vec<_> = (0..32)
        .map(|_| facts_of(&profile()).serial_number)
        .collect();
    for number in &numbers {
        assert!(u64::from_str_radix(number, 16).unwrap() < 1 << 63);
    }
    let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len());
}

#[test]
fn renewing_from_the_old_certificate_changes_nothing() {
    let old = facts_of(&profile());
    let new = facts_of(&old.profile());
    assert_eq!(new.difference_from(&profile()), Vec::<String>::new());
    assert_eq!(new.profile(), old.profile());
}

#[test]
fn each_difference_is_said_in_plain_words() {
    let facts = facts_of(&profile());
    assert_eq!(facts.difference_from(&profile()), Vec::<String>::new());
    let changed = CertificateProfile {
        common_name: "other".to_owned(),
        organizations: vec!["a".to_owned()],
        dns_sans: ["cp-1", "api.example"].map(String::from).to_vec(),
        ip_sans: vec!["192.0.2.10".parse().unwrap(), "127.0.0.1".parse().unwrap()],
        server_auth: false,
        client_auth: true,
        not_before: NotBefore::Authority,
    };
    assert_eq!(
        facts.difference_from(&changed),
        [
            "the common name is `kube-apiserver` instead of `other`",
            "it has the unwanted organization `b-team`",
            "it lacks the DNS name `api.example`",
            "it has the unwanted DNS name `kubernetes`",
            "it lacks the IP address `127.0.0.1`",
            "it has the unwanted IP address `::1`",
            "it lacks the extended key usage `clientAuth`",
            "it has the unwanted extended key usage `serverAuth`",
        ]
    );
}

#[test]
fn an_authority_in_a_leafs_place_is_a_difference() {
    let facts = CertificateFacts::parse(authority().certificate_pem()).unwrap();
    let differences = facts.difference_from(&profile());
    let last = differences.last().unwrap();
    assert_eq!(last, "the certificate is an authority's and should not be");
}

#[test]
fn incomplete_profiles_are_not_issued() {
    let authority = authority();
    for (profile, message) in [
        (
            CertificateProfile {
                common_name: String::new(),
                ..profile()
            },
            "the certificate profile of `` has no common name",
        ),
        (
            CertificateProfile {
                server_auth: false,
                ..profile()
            },
            "the certificate profile of `kube-apiserver` has no use: \
             neither server nor client authentication",
        ),
        (
            CertificateProfile {
                dns_sans: vec!["m\u{fc}nchen".to_owned()],
                ..profile()
            },
            "cannot encode the certificate extensions",
        ),
    ] {
        let error = authority
            .issue(&profile, authority.key(), now(), CERTIFICATE_VALIDITY)
            .unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn text_that_is_no_certificate_is_told_from_a_damaged_one() {
    for text in ["", "hello", "-----BEGIN X-----\nAQ==\n-----END X-----\n"] {
        let error = CertificateFacts::parse(text).unwrap_err();
        assert_eq!(error.to_string(), "found no certificate in the PEM text");
    }
    let damaged = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let error = CertificateFacts::parse(damaged).unwrap_err();
    assert!(matches!(error, PkiError::Parse { .. }));
}
