//! Certificates and kubeconfigs held against those of the real kubeadm 1.36.3.
//!
//! The fixtures are what kubeadm made of `fixtures/kubeadm.yaml`, reduced to text without keys.
//! The ignored test makes them again: it needs `SLIPWAY_KUBEADM`, the path of kubeadm 1.36.3, and
//! with `SLIPWAY_WRITE_FIXTURES=1` writes what it finds.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::common::{NOW, describe_certificate};
use jiff::Timestamp;
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateFacts,
    CertificateName, ControlPlaneNames, Credentials, KeyAlgorithm, Kubeconfig, KubeconfigName,
    PrivateKey,
};

const ALGORITHMS: [KeyAlgorithm; 2] = [KeyAlgorithm::Rsa2048, KeyAlgorithm::EcdsaP256];

#[test]
fn certificates_and_kubeconfigs_are_those_of_kubeadm() {
    for algorithm in ALGORITHMS {
        let expected = std::fs::read_to_string(fixture_path(algorithm)).unwrap();
        let made = describe(&make_cluster(algorithm));
        assert_eq!(made, expected, "{algorithm}");
    }
}

#[test]
#[ignore = "needs SLIPWAY_KUBEADM, the path of kubeadm 1.36.3"]
fn kubeadm_still_makes_what_the_fixtures_say() {
    for algorithm in ALGORITHMS {
        let made = describe(&ask_kubeadm(algorithm));
        if std::env::var_os("SLIPWAY_WRITE_FIXTURES").is_some() {
            std::fs::write(fixture_path(algorithm), &made).unwrap();
        }
        let expected = std::fs::read_to_string(fixture_path(algorithm)).unwrap();
        assert_eq!(made, expected, "{algorithm}");
    }
}

#[test]
#[ignore = "needs SLIPWAY_KUBEADM, the path of kubeadm 1.36.3"]
fn what_kubeadm_wrote_is_taken_over_byte_for_byte() {
    let names = control_plane_names();
    let now: Timestamp = NOW.parse().unwrap();
    for algorithm in ALGORITHMS {
        let cluster = ask_kubeadm(algorithm);
        for (name, certificate_pem, key_pem) in &cluster.certificates {
            let key = PrivateKey::from_pem(key_pem).unwrap();
            assert_eq!(key.to_pem().as_str(), key_pem, "{name}");
            assert_eq!(key.algorithm(), Some(algorithm));
            let facts = CertificateFacts::parse(certificate_pem).unwrap();
            assert!(facts.matches_key(&key));
            let profile = name.profile(&names).unwrap();
            assert_eq!(
                facts.difference_from(&profile),
                Vec::<String>::new(),
                "{name}"
            );
            if name.is_authority() {
                let authority = CertificateAuthority::load(certificate_pem, key_pem).unwrap();
                assert_eq!(authority.certificate_pem(), certificate_pem);
                let profile = KubeconfigName::Admin.profile("cp-1");
                let issued = authority.issue(&profile, &key, now, CERTIFICATE_VALIDITY);
                let facts = CertificateFacts::parse(&issued.unwrap()).unwrap();
                assert!(facts.is_signed_by(certificate_pem).unwrap());
            }
        }
        for (name, text) in &cluster.kubeconfigs {
            let read = Kubeconfig::parse(text).unwrap();
            assert_eq!(read.to_yaml().unwrap().as_str(), text, "{name}");
        }
    }
}

/// All files of a control-plane node.
struct Cluster {
    certificates: Vec<(CertificateName, String, String)>,
    kubeconfigs: Vec<(KubeconfigName, String)>,
}

fn control_plane_names() -> ControlPlaneNames {
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

fn make_cluster(algorithm: KeyAlgorithm) -> Cluster {
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

fn ask_kubeadm(algorithm: KeyAlgorithm) -> Cluster {
    let directory = tempfile::tempdir().unwrap();
    let pki = directory.path().join("pki");
    let configuration = include_str!("../fixtures/kubeadm.yaml")
        .replace("CERTIFICATES_DIR", pki.to_str().unwrap())
        .replace("ENCRYPTION_ALGORITHM", algorithm.as_str());
    std::fs::write(directory.path().join("kubeadm.yaml"), configuration).unwrap();
    run_kubeadm(
        directory.path(),
        "init phase certs all --config kubeadm.yaml",
    );
    run_kubeadm(
        directory.path(),
        "init phase kubeconfig all --config kubeadm.yaml --kubeconfig-dir .",
    );

    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    Cluster {
        certificates: CertificateName::ALL
            .map(|name| {
                let certificate = read(&pki.join(name.certificate_path()));
                (name, certificate, read(&pki.join(name.key_path())))
            })
            .into(),
        kubeconfigs: KubeconfigName::ALL
            .map(|name| (name, read(&directory.path().join(name.file_name()))))
            .into(),
    }
}

fn run_kubeadm(directory: &Path, arguments: &str) {
    let kubeadm = std::env::var_os("SLIPWAY_KUBEADM").expect("SLIPWAY_KUBEADM is not set");
    let output = Command::new(kubeadm)
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("SLIPWAY_KUBEADM is not a program");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubeadm {arguments}:\n{errors}");
}

/// Returns all files as text without keys, dates and serial numbers.
fn describe(cluster: &Cluster) -> String {
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

fn fixture_path(algorithm: KeyAlgorithm) -> String {
    format!(
        "{}/tests/fixtures/kubeadm-1.36.3-{}.txt",
        env!("CARGO_MANIFEST_DIR"),
        algorithm.as_str().to_lowercase()
    )
}
