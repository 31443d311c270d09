//! Certificates and kubeconfigs held against those of the real kubeadm 1.36.3.
//!
//! The fixtures are what kubeadm made of `fixtures/kubeadm.yaml`, reduced to text without keys;
//! `oracle.rs` makes them again.

use std::fmt::Write;

use crate::common::{NOW, describe_certificate};
use jiff::Timestamp;
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateFacts,
    CertificateName, ControlPlaneNames, Credentials, KeyAlgorithm, Kubeconfig, KubeconfigName,
    PrivateKey,
};

/// The algorithms that there are fixtures for.
pub const ALGORITHMS: [KeyAlgorithm; 2] = [KeyAlgorithm::Rsa2048, KeyAlgorithm::EcdsaP256];

#[test]
fn certificates_and_kubeconfigs_are_those_of_kubeadm() {
    for algorithm in ALGORITHMS {
        let expected = std::fs::read_to_string(fixture_path(algorithm)).unwrap();
        let made = describe(&make_cluster(algorithm));
        assert_eq!(made, expected, "{algorithm}");
    }
}

/// All files of a control-plane node.
pub struct Cluster {
    pub certificates: Vec<(CertificateName, String, String)>,
    pub kubeconfigs: Vec<(KubeconfigName, String)>,
}

/// The names that `fixtures/kubeadm.yaml` leads to.
pub fn control_plane_names() -> ControlPlaneNames {
    let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
    ControlPlaneNames {
        node_name: "cp-1".to_owned(),
        advertise_address: "192.0.2.10".parse().unwrap(),
        first_service_ip: "10.96.0.1".parse().unwrap(),
        dns_domain: "cluster.local".to_owned(),
        control_plane_endpoint: Some("api.harbour.example:6443".to_owned()),
        extra_sans: list(&[
            "127.0.0.1",
            "localhost",
            "*.harbour.example",
            "2001:db8::10",
            "192.0.2.10",
        ]),
        etcd_server_sans: list(&["etcd.harbour.example", "198.51.100.10"]),
        etcd_peer_sans: list(&["peer.harbour.example"]),
        kubelet_client_in_admins_group: false,
    }
}

/// Makes them, all new.
pub fn make_cluster(algorithm: KeyAlgorithm) -> Cluster {
    let names = control_plane_names();
    let now: Timestamp = NOW.parse().unwrap();
    let mut authorities: Vec<(CertificateName, CertificateAuthority)> = Vec::new();
    let mut certificates = Vec::new();
    for name in CertificateName::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        let pem = match name.signer() {
            None => {
                let common_name = name.fixed_common_name().unwrap();
                let authority =
                    CertificateAuthority::create(common_name, &key, now, AUTHORITY_VALIDITY)
                        .unwrap();
                let pem = authority.certificate_pem().to_owned();
                authorities.push((name, authority));
                pem
            }
            Some(signer) => {
                let (_, authority) = authorities.iter().find(|(n, _)| *n == signer).unwrap();
                let profile = name.profile(&names).unwrap();
                authority
                    .issue(&profile, &key, now, CERTIFICATE_VALIDITY)
                    .unwrap()
            }
        };
        certificates.push((name, pem, key.to_pem().to_string()));
    }

    let (_, authority) = &authorities[0];
    let kubeconfigs = KubeconfigName::ALL.map(|name| {
        let key = PrivateKey::generate(algorithm).unwrap();
        let server = if name.uses_local_endpoint() {
            "https://192.0.2.10:6443"
        } else {
            "https://api.harbour.example:6443"
        };
        let cert_pem = authority
            .issue(&name.profile("cp-1"), &key, now, CERTIFICATE_VALIDITY)
            .unwrap();
        let kubeconfig = Kubeconfig {
            cluster_name: "harbour".to_owned(),
            server: server.to_owned(),
            ca_pem: authority.certificate_pem().to_owned(),
            user_name: name.user_name("cp-1"),
            credentials: Credentials::Embedded {
                cert_pem,
                key_pem: key.to_pem(),
            },
        };
        (name, kubeconfig.to_yaml().unwrap().to_string())
    });
    Cluster {
        certificates,
        kubeconfigs: kubeconfigs.into(),
    }
}

/// Returns all files as text without keys, dates and serial numbers.
pub fn describe(cluster: &Cluster) -> String {
    let mut text = String::new();
    for (name, certificate, key) in &cluster.certificates {
        writeln!(text, "{}", name.certificate_path()).unwrap();
        text.push_str(&describe_certificate(certificate));
        let facts = CertificateFacts::parse(certificate).unwrap();
        writeln!(text, "  lifetime {} s", lifetime(&facts)).unwrap();
        writeln!(text, "  {}", key.lines().next().unwrap()).unwrap();
    }
    let authority = CertificateFacts::parse(&cluster.certificates[0].1).unwrap();
    for (name, kubeconfig) in &cluster.kubeconfigs {
        writeln!(text, "{}", name.file_name()).unwrap();
        for line in kubeconfig.lines() {
            let (field, data) = line.split_once("-data: ").unwrap_or((line, ""));
            let mark = if data.is_empty() { "" } else { "-data: …" };
            writeln!(text, "  {field}{mark}").unwrap();
        }
        let Credentials::Embedded { cert_pem, .. } =
            Kubeconfig::parse(kubeconfig).unwrap().credentials
        else {
            panic!("{name}: kubeadm embeds certificates")
        };
        text.push_str(&describe_certificate(&cert_pem));
        let facts = CertificateFacts::parse(&cert_pem).unwrap();
        let starts_with_authority = facts.not_before == authority.not_before;
        writeln!(text, "  starts with the authority: {starts_with_authority}").unwrap();
        // In seconds it depends on how long ago the authority was made.
        writeln!(text, "  lifetime {} h", lifetime(&facts) / 3600).unwrap();
    }
    text
}

fn lifetime(facts: &CertificateFacts) -> i64 {
    facts.not_after.as_second() - facts.not_before.as_second()
}

/// Returns the path of an algorithm's fixture.
pub fn fixture_path(algorithm: KeyAlgorithm) -> String {
    format!(
        "{}/tests/fixtures/kubeadm-1.36.3-{}.txt",
        env!("CARGO_MANIFEST_DIR"),
        algorithm.as_str().to_lowercase()
    )
}
