//! The real kubeadm 1.36.3, asked again: run with the feature `oracle` and its path in
//! `SLIPWAY_KUBEADM_1_36`. With `SLIPWAY_WRITE_FIXTURES=1` the fixtures become what it says.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::NOW;
use crate::kubeadm::{
    ALGORITHMS, Cluster, control_plane_names, describe, fixture_path, make_cluster,
};
use jiff::Timestamp;
use slipway_pki::{
    CERTIFICATE_VALIDITY, CertificateAuthority, CertificateFacts, CertificateName, KeyAlgorithm,
    Kubeconfig, KubeconfigName, PrivateKey,
};

/// Names the program.
const VARIABLE: &str = "SLIPWAY_KUBEADM_1_36";

#[test]
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

#[test]
fn kubeadm_takes_our_files_where_the_authorities_keys_are_elsewhere() {
    for algorithm in ALGORITHMS {
        let directory = tempfile::tempdir().unwrap();
        let pki = directory.path().join("pki");
        write_configuration(directory.path(), algorithm);
        std::fs::create_dir_all(pki.join("etcd")).unwrap();
        let cluster = make_cluster(algorithm);
        for (name, certificate, key) in &cluster.certificates {
            std::fs::write(pki.join(name.certificate_path()), certificate).unwrap();
            if !name.is_authority() {
                std::fs::write(pki.join(name.key_path()), key).unwrap();
            }
        }
        for (name, text) in &cluster.kubeconfigs {
            std::fs::write(directory.path().join(name.file_name()), text).unwrap();
        }
        let kubeconfigs = "init phase kubeconfig all --config kubeadm.yaml --kubeconfig-dir .";
        run_kubeadm(directory.path(), kubeconfigs);
        for (name, text) in &cluster.kubeconfigs {
            let found = std::fs::read_to_string(directory.path().join(name.file_name()));
            assert_eq!(found.unwrap(), *text, "{name} is left alone");
        }
        // That kubeadm looked at them at all:
        std::fs::remove_file(directory.path().join("scheduler.conf")).unwrap();
        let output = kubeadm(directory.path(), kubeconfigs);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains("scheduler.conf"),
            "{errors}"
        );
    }
}

fn ask_kubeadm(algorithm: KeyAlgorithm) -> Cluster {
    let directory = tempfile::tempdir().unwrap();
    let pki = directory.path().join("pki");
    write_configuration(directory.path(), algorithm);
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

fn write_configuration(directory: &Path, algorithm: KeyAlgorithm) {
    let pki = directory.join("pki");
    let configuration = include_str!("../fixtures/kubeadm.yaml")
        .replace("CERTIFICATES_DIR", pki.to_str().unwrap())
        .replace("ENCRYPTION_ALGORITHM", algorithm.as_str());
    std::fs::write(directory.join("kubeadm.yaml"), configuration).unwrap();
}

fn run_kubeadm(directory: &Path, arguments: &str) {
    let output = kubeadm(directory, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubeadm {arguments}:\n{errors}");
}

fn kubeadm(directory: &Path, arguments: &str) -> Output {
    let kubeadm = std::env::var_os(VARIABLE)
        .unwrap_or_else(|| panic!("{VARIABLE} must be the path of kubeadm 1.36.3"));
    Command::new(kubeadm)
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("{VARIABLE} is not a program: {error}"))
}
