//! Ordinary certificates and requests are understood by rcgen and the other way round (ADR 4).

use jiff::Timestamp;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DnType, DnValue, Issuer, KeyPair, SanType,
};
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateFacts,
    CertificateProfile, KeyAlgorithm, PrivateKey, certificate_request,
};

fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().expect("it is a moment")
}

fn authority(algorithm: KeyAlgorithm) -> CertificateAuthority {
    let key = PrivateKey::generate(algorithm).expect("there is randomness");
    CertificateAuthority::create("kubernetes", &key, now(), AUTHORITY_VALIDITY)
        .expect("an ordinary name can be encoded")
}

fn serving_profile() -> CertificateProfile {
    CertificateProfile {
        common_name: "system:node:w-1".to_owned(),
        organizations: vec!["system:nodes".to_owned()],
        dns_sans: vec!["w-1".to_owned()],
        ip_sans: vec!["192.0.2.21".parse().expect("it is an address")],
        server_auth: true,
        ..CertificateProfile::default()
    }
}

#[test]
fn rcgen_issues_with_our_authority_what_we_accept() {
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
        let authority = authority(algorithm);
        let key = KeyPair::from_pem(&authority.key().to_pem()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(authority.certificate_pem(), key).unwrap();

        let leaf_key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["w-1.example".to_owned()]).unwrap();
        let leaf = params.signed_by(&leaf_key, &issuer).unwrap().pem();

        let facts = CertificateFacts::parse(&leaf).unwrap();
        assert_eq!(facts.issuer_common_name, "kubernetes");
        assert_eq!(facts.dns_sans, ["w-1.example"]);
        assert!(facts.is_signed_by(authority.certificate_pem()).unwrap());
        let stranger = self::authority(algorithm);
        assert!(!facts.is_signed_by(stranger.certificate_pem()).unwrap());
    }
}

#[test]
fn we_sign_a_request_that_rcgen_made() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["asked.example".to_owned()]).unwrap();
    let request = params.serialize_request(&key).unwrap().pem().unwrap();

    let authority = authority(KeyAlgorithm::EcdsaP256);
    let profile = serving_profile();
    let signed = authority
        .sign_request(&request, &profile, now(), CERTIFICATE_VALIDITY)
        .unwrap();

    let facts = CertificateFacts::parse(&signed).unwrap();
    assert!(facts.is_signed_by(authority.certificate_pem()).unwrap());
    // The profile decides, not the request.
    assert_eq!(facts.difference_from(&profile), Vec::<String>::new());
    let key = PrivateKey::from_pem(&key.serialize_pem()).unwrap();
    assert!(facts.matches_key(&key));
}

#[test]
fn rcgen_reads_our_request() {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let request = certificate_request(&key, &serving_profile()).unwrap();
    let read = CertificateSigningRequestParams::from_pem(&request)
        .unwrap()
        .params;
    let text = |value: &str| Some(DnValue::Utf8String(value.to_owned()));
    let printable = |value: &str| value.try_into().ok().map(DnValue::PrintableString);
    let organization = read.distinguished_name.get(&DnType::OrganizationName);
    let common_name = read.distinguished_name.get(&DnType::CommonName);
    for (found, value) in [
        (organization, "system:nodes"),
        (common_name, "system:node:w-1"),
    ] {
        let found = found.cloned();
        assert!(found == text(value) || found == printable(value), "{value}");
    }
    assert_eq!(
        read.subject_alt_names,
        [
            SanType::DnsName("w-1".try_into().unwrap()),
            SanType::IpAddress("192.0.2.21".parse().unwrap()),
        ]
    );
}

/// When this fails, rcgen keeps names whole and ADR 4 should be looked at again.
#[test]
fn rcgen_still_loses_repeated_attributes() {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, "first");
    name.push(DnType::OrganizationName, "second");
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let facts = CertificateFacts::parse(&certificate.pem()).unwrap();
    assert_eq!(facts.organizations, ["second"]);

    let mut profile = serving_profile();
    profile.organizations = vec!["first".to_owned(), "second".to_owned()];
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let request = certificate_request(&key, &profile).unwrap();
    // It has no place for two organizations, so it refuses them.
    assert!(CertificateSigningRequestParams::from_pem(&request).is_err());
}
