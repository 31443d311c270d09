//! Chains, keys and requests, judged by the real `openssl`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::{NOW, openssl, try_openssl};
use crate::kubeadm::{ALGORITHMS, control_plane_names, make_cluster};
use jiff::Timestamp;
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateFacts,
    CertificateName, CertificateProfile, Credentials, KeyAlgorithm, Kubeconfig, KubeconfigName,
    NotBefore, PkiError, PrivateKey, certificate_request, kubelet_serving_profile, public_key_pin,
};
use tempfile::TempDir;

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn serving_profile() -> CertificateProfile {
    kubelet_serving_profile(
        "w-1",
        &["192.0.2.21".parse().unwrap()],
        &["w-1.harbour.example".to_owned()],
    )
}

/// Writes an authority and its key as `ca.crt` and `ca.key`.
fn authority_in(directory: &Path, algorithm: KeyAlgorithm) -> CertificateAuthority {
    let key = PrivateKey::generate(algorithm).unwrap();
    let authority =
        CertificateAuthority::create("kubernetes", &key, now(), AUTHORITY_VALIDITY).unwrap();
    fs::write(directory.join("ca.crt"), authority.certificate_pem()).unwrap();
    fs::write(directory.join("ca.key"), key.to_pem()).unwrap();
    authority
}

fn at(moment: &str) -> String {
    let moment: Timestamp = moment.parse().unwrap();
    format!("-attime {}", moment.as_second())
}

#[test]
fn openssl_verifies_chains_of_every_algorithm() {
    for algorithm in KeyAlgorithm::ALL {
        let directory = TempDir::new().unwrap();
        let authority = authority_in(directory.path(), algorithm);
        let key = PrivateKey::generate(algorithm).unwrap();
        let certificate = authority
            .issue(&serving_profile(), &key, now(), CERTIFICATE_VALIDITY)
            .unwrap();
        fs::write(directory.path().join("w.crt"), &certificate).unwrap();

        let verify = format!(
            "verify -x509_strict -purpose sslserver -verify_hostname w-1.harbour.example {} \
             -CAfile ca.crt w.crt",
            at(NOW)
        );
        assert_eq!(
            openssl(directory.path(), &verify),
            "w.crt: OK\n",
            "{algorithm}"
        );
        let as_client = verify.replace("sslserver", "sslclient");
        assert!(!try_openssl(directory.path(), &as_client).0);
        let by_address = verify.replace(
            "-verify_hostname w-1.harbour.example",
            "-verify_ip 192.0.2.21",
        );
        openssl(directory.path(), &by_address);
    }
}

#[test]
fn openssl_reads_keys_in_kubeadms_form_and_its_keys_are_read() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    for algorithm in KeyAlgorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        fs::write(path.join("our.key"), key.to_pem()).unwrap();
        openssl(path, "pkey -in our.key -check -noout");
        let public = openssl(path, "pkey -in our.key -pubout");
        assert_eq!(public, key.public_pem());
        openssl(path, "pkcs8 -topk8 -nocrypt -in our.key -out pkcs8.key");
        let pkcs8 = fs::read_to_string(path.join("pkcs8.key")).unwrap();
        assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(PrivateKey::from_pem(&pkcs8).unwrap().to_pem(), key.to_pem());
    }

    // With the block `EC PARAMETERS` in front, as older instructions make it.
    openssl(path, "ecparam -name secp384r1 -genkey -out ec.key");
    let ec = PrivateKey::from_pem(&fs::read_to_string(path.join("ec.key")).unwrap()).unwrap();
    assert_eq!(ec.algorithm(), Some(KeyAlgorithm::EcdsaP384));

    openssl(path, "genrsa -traditional -out odd.key 2560");
    let odd = PrivateKey::from_pem(&fs::read_to_string(path.join("odd.key")).unwrap()).unwrap();
    assert_eq!(odd.algorithm(), None);
    assert_eq!(
        odd.to_pem().as_str(),
        fs::read_to_string(path.join("odd.key")).unwrap()
    );

    for command in [
        "genrsa -traditional -out bad.key 1024",
        "ecparam -name secp521r1 -genkey -noout -out bad.key",
        "genpkey -algorithm ed25519 -out bad.key",
    ] {
        openssl(path, command);
        let read = PrivateKey::from_pem(&fs::read_to_string(path.join("bad.key")).unwrap());
        assert!(matches!(read, Err(PkiError::KeyUnsupported)), "{command}");
    }
    openssl(
        path,
        "genrsa -aes128 -passout pass:secret -out bad.key 2048",
    );
    let read = PrivateKey::from_pem(&fs::read_to_string(path.join("bad.key")).unwrap());
    assert!(matches!(read, Err(PkiError::KeyEncrypted)));
}

#[test]
fn a_certificate_issued_in_the_past_has_expired_today() {
    let directory = TempDir::new().unwrap();
    let authority = authority_in(directory.path(), KeyAlgorithm::EcdsaP256);
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let profile = KubeconfigName::Scheduler.profile("cp-1");
    let certificate = authority
        .issue(&profile, &key, now(), Duration::from_secs(3600))
        .unwrap();
    fs::write(directory.path().join("s.crt"), &certificate).unwrap();
    let verify_at = |moment| {
        format!(
            "verify -purpose sslclient {} -CAfile ca.crt s.crt",
            at(moment)
        )
    };

    openssl(directory.path(), &verify_at("2026-11-21T09:59:00Z"));
    let (succeeded, output) = try_openssl(directory.path(), &verify_at("2026-11-21T10:01:00Z"));
    assert!(!succeeded && output.contains("expired"), "{output}");
    let facts = CertificateFacts::parse(&certificate).unwrap();
    assert!(facts.is_valid_at("2026-11-21T10:00:00Z".parse().unwrap()));
    assert!(!facts.is_valid_at("2026-11-21T10:00:01Z".parse().unwrap()));
}

#[test]
fn a_certificate_starts_with_its_authority_only_where_the_profile_says_so() {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let authority =
        CertificateAuthority::create("kubernetes", &key, now(), AUTHORITY_VALIDITY).unwrap();
    let a_year_later: Timestamp = "2027-11-21T09:00:00Z".parse().unwrap();
    for (not_before, expected) in [
        (NotBefore::Backdated, "2027-11-21T08:55:00Z"),
        (NotBefore::Authority, "2026-11-21T08:55:00Z"),
    ] {
        let profile = CertificateProfile {
            not_before,
            ..serving_profile()
        };
        let certificate = authority
            .issue(&profile, &key, a_year_later, CERTIFICATE_VALIDITY)
            .unwrap();
        let facts = CertificateFacts::parse(&certificate).unwrap();
        assert_eq!(facts.not_before.to_string(), expected);
        assert_eq!(facts.not_after.to_string(), "2028-11-20T09:00:00Z");
    }
}

#[test]
fn a_request_of_ours_is_read_by_openssl_and_signed() {
    for algorithm in [
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
    ] {
        let directory = TempDir::new().unwrap();
        let authority = authority_in(directory.path(), algorithm);
        let key = PrivateKey::generate(algorithm).unwrap();
        let request = certificate_request(&key, &serving_profile()).unwrap();
        fs::write(directory.path().join("w.csr"), &request).unwrap();
        let text = openssl(directory.path(), "req -in w.csr -verify -noout -text");
        assert!(
            text.contains("DNS:w-1, DNS:w-1.harbour.example, IP Address:192.0.2.21"),
            "{text}"
        );

        let certificate = authority
            .sign_request(&request, &serving_profile(), now(), CERTIFICATE_VALIDITY)
            .unwrap();
        let facts = CertificateFacts::parse(&certificate).unwrap();
        assert!(facts.matches_key(&key));
        assert_eq!(
            facts.difference_from(&serving_profile()),
            Vec::<String>::new()
        );
        fs::write(directory.path().join("w.crt"), &certificate).unwrap();
        openssl(
            directory.path(),
            &format!("verify {} -CAfile ca.crt w.crt", at(NOW)),
        );
    }
}

#[test]
fn a_request_gets_what_the_profile_says_whatever_it_asks_for() {
    let directory = TempDir::new().unwrap();
    let authority = authority_in(directory.path(), KeyAlgorithm::EcdsaP256);
    openssl(
        directory.path(),
        "req -new -newkey rsa:2048 -nodes -keyout greedy.key -out greedy.csr \
         -subj /O=system:masters/CN=root -addext basicConstraints=critical,CA:TRUE \
         -addext subjectAltName=DNS:kubernetes -addext extendedKeyUsage=clientAuth",
    );
    let request = fs::read_to_string(directory.path().join("greedy.csr")).unwrap();
    let certificate = authority
        .sign_request(&request, &serving_profile(), now(), CERTIFICATE_VALIDITY)
        .unwrap();
    let facts = CertificateFacts::parse(&certificate).unwrap();
    assert_eq!(
        facts.difference_from(&serving_profile()),
        Vec::<String>::new()
    );
    assert!(!facts.is_ca);
    let key = fs::read_to_string(directory.path().join("greedy.key")).unwrap();
    assert!(facts.matches_key(&PrivateKey::from_pem(&key).unwrap()));
}

#[test]
fn a_request_that_was_changed_or_has_a_weak_key_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let authority = authority_in(path, KeyAlgorithm::EcdsaP256);
    let sign = |file: &str, encoding: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let der = encoding(fs::read(path.join(file)).unwrap());
        fs::write(path.join("changed.der"), der).unwrap();
        openssl(path, "base64 -in changed.der -out changed.b64");
        let base64 = fs::read_to_string(path.join("changed.b64")).unwrap();
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{base64}-----END CERTIFICATE REQUEST-----\n"
        );
        authority.sign_request(&pem, &serving_profile(), now(), CERTIFICATE_VALIDITY)
    };

    openssl(
        path,
        "req -new -newkey rsa:2048 -nodes -keyout a.key -subj /CN=aaaa -outform DER -out a.csr",
    );
    assert!(sign("a.csr", &|der| der).is_ok());
    let changed = sign("a.csr", &|mut der| {
        let name = der.windows(4).position(|w| w == b"aaaa").unwrap();
        der[name] = b'b';
        der
    });
    assert!(matches!(changed, Err(PkiError::RequestSignature)));
    let truncated = sign("a.csr", &|der| der[..der.len() / 2].to_vec());
    assert!(matches!(truncated, Err(PkiError::Parse { .. })));

    for (new_key, algorithm) in [("rsa:1024", "RSA-1024"), ("ed25519", "1.3.101.112")] {
        openssl(
            path,
            &format!(
                "req -new -newkey {new_key} -nodes -keyout w.key -subj /CN=w -outform DER -out w.csr"
            ),
        );
        let error = sign("w.csr", &|der| der).unwrap_err();
        assert!(error.to_string().contains(algorithm), "{error}");
    }
}

#[test]
fn a_foreign_authoritys_name_survives_byte_for_byte() {
    // Names that a map of attributes would lose: repeated ones, several in one set, old strings.
    for (subject, string_mask) in [
        ("/DC=example/DC=harbour/OU=a/OU=b/CN=Harbour", "utf8only"),
        ("/C=DE/O=Hafen+OU=Werft+OU=Dock/CN=Wurzel", "nombstr"),
        ("/CN=M\u{fc}nchen", "default"),
        ("/O=Only-Organization", "utf8only"),
    ] {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        let configuration = format!(
            "[req]\nprompt=no\nstring_mask={string_mask}\nutf8=yes\ndistinguished_name=dn\n[dn]\n\
             [ext]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n\
             keyUsage=keyCertSign,cRLSign\n"
        );
        fs::write(path.join("ca.cnf"), configuration).unwrap();
        openssl(
            path,
            &format!(
                "req -x509 -newkey rsa:2048 -nodes -days 3650 -config ca.cnf -extensions ext \
                 -utf8 -multivalue-rdn -subj {subject} -keyout ca.key -out ca.crt"
            ),
        );
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap();
        let authority = CertificateAuthority::load(&read("ca.crt"), &read("ca.key")).unwrap();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let today = CertificateFacts::parse(&read("ca.crt")).unwrap().not_before;
        let issued = authority
            .issue(&serving_profile(), &key, today, CERTIFICATE_VALIDITY)
            .unwrap();
        fs::write(path.join("w.crt"), &issued).unwrap();

        let whole = "-nameopt RFC2253,dump_all,dump_der";
        let of_authority = openssl(path, &format!("x509 -in ca.crt -noout -subject {whole}"));
        let of_issued = openssl(path, &format!("x509 -in w.crt -noout -issuer {whole}"));
        assert_eq!(
            of_authority.trim_start_matches("subject="),
            of_issued.trim_start_matches("issuer="),
        );
        let verify = format!(
            "verify -x509_strict -attime {} -CAfile ca.crt w.crt",
            today.as_second()
        );
        openssl(path, &verify);
        let facts = CertificateFacts::parse(&issued).unwrap();
        assert!(facts.is_signed_by(&read("ca.crt")).unwrap());
    }
}

#[test]
fn authorities_that_cannot_sign_are_refused() {
    let directory = TempDir::new().unwrap();
    let authority = authority_in(directory.path(), KeyAlgorithm::EcdsaP256);
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf = authority
        .issue(&serving_profile(), &key, now(), CERTIFICATE_VALIDITY)
        .unwrap();
    let not_an_authority = CertificateAuthority::load(&leaf, &key.to_pem()).unwrap_err();
    assert_eq!(
        not_an_authority.to_string(),
        "the certificate of `system:node:w-1` is not a certificate authority's"
    );
    let mismatch =
        CertificateAuthority::load(authority.certificate_pem(), &key.to_pem()).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "the private key does not belong to the certificate of `kubernetes`"
    );
}

#[test]
fn a_certificate_is_signed_by_any_authority_of_a_bundle_and_by_no_namesake() {
    let authority = |_| {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        CertificateAuthority::create("kubernetes", &key, now(), AUTHORITY_VALIDITY).unwrap()
    };
    let [old, new] = [0, 1].map(authority);
    let certificate = old
        .issue(&serving_profile(), new.key(), now(), CERTIFICATE_VALIDITY)
        .unwrap();
    let facts = CertificateFacts::parse(&certificate).unwrap();
    let bundle = format!("{}{}", new.certificate_pem(), old.certificate_pem());
    assert!(facts.is_signed_by(&bundle).unwrap());
    assert!(!facts.is_signed_by(new.certificate_pem()).unwrap());
    assert_eq!(CertificateFacts::parse_all(&bundle).unwrap().len(), 2);
}

#[test]
fn the_pin_is_the_digest_that_kubeadms_documentation_computes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let authority = authority_in(path, KeyAlgorithm::Rsa2048);
    openssl(path, "x509 -in ca.crt -noout -pubkey -out ca.pub");
    openssl(path, "pkey -pubin -in ca.pub -outform DER -out ca.der");
    let digest = openssl(path, "dgst -sha256 -r ca.der");
    let expected = format!("sha256:{}", digest.split_whitespace().next().unwrap());
    assert_eq!(
        public_key_pin(authority.certificate_pem()).unwrap(),
        expected
    );
}

#[test]
fn openssl_verifies_every_certificate_of_a_control_plane_against_its_own_authority() {
    for algorithm in ALGORITHMS {
        let cluster = make_cluster(algorithm);
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        fs::create_dir(path.join("etcd")).unwrap();
        for (name, certificate, _) in &cluster.certificates {
            fs::write(path.join(name.certificate_path()), certificate).unwrap();
        }
        let mut leaves: Vec<(CertificateName, String, Vec<&str>)> = Vec::new();
        for name in CertificateName::ALL {
            let Some(signer) = name.signer() else {
                continue;
            };
            let profile = name.profile(&control_plane_names()).unwrap();
            let purposes = [
                profile.server_auth.then_some("sslserver"),
                profile.client_auth.then_some("sslclient"),
            ];
            let purposes = purposes.into_iter().flatten().collect();
            leaves.push((signer, name.certificate_path(), purposes));
        }
        for (name, text) in &cluster.kubeconfigs {
            let Credentials::Embedded { cert_pem, .. } =
                Kubeconfig::parse(text).unwrap().credentials
            else {
                panic!("{name} has its certificate inside");
            };
            let file = format!("{}.crt", name.file_name());
            fs::write(path.join(&file), cert_pem).unwrap();
            leaves.push((CertificateName::Ca, file, vec!["sslclient"]));
        }
        assert_eq!(leaves.len(), 12);
        let authorities = CertificateName::ALL
            .into_iter()
            .filter(|n| n.is_authority());
        let authorities: Vec<_> = authorities.collect();
        for (signer, leaf, purposes) in leaves {
            for (authority, purpose) in authorities
                .iter()
                .flat_map(|authority| purposes.iter().map(move |purpose| (authority, purpose)))
            {
                let ca = authority.certificate_path();
                let verify = format!(
                    "verify -x509_strict -purpose {purpose} {} -CAfile {ca} {leaf}",
                    at(NOW)
                );
                let (succeeded, output) = try_openssl(path, &verify);
                assert_eq!(succeeded, *authority == signer, "{verify}: {output}");
            }
        }
    }
}

#[test]
fn a_certificate_of_an_intermediate_authority_leads_to_the_root_with_it_behind() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let configuration = "[req]\nprompt=no\ndistinguished_name=dn\n[dn]\n[ext]\n\
        basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nkeyUsage=keyCertSign\n";
    fs::write(path.join("ca.cnf"), configuration).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf";
    openssl(
        path,
        &format!("req -x509 {key} -extensions ext -subj /CN=root -keyout root.key -out root.crt"),
    );
    openssl(
        path,
        &format!("req {key} -subj /CN=intermediate -keyout ca.key -out ca.csr"),
    );
    openssl(
        path,
        "x509 -req -in ca.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 \
         -extfile ca.cnf -extensions ext -out ca.crt",
    );
    let read = |file: &str| fs::read_to_string(path.join(file)).unwrap();
    let (root, intermediate) = (read("root.crt"), read("ca.crt"));
    let authority = CertificateAuthority::load(&intermediate, &read("ca.key")).unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let start = CertificateFacts::parse(&intermediate).unwrap().not_before;
    let leaf = authority
        .issue(&serving_profile(), &key, start, CERTIFICATE_VALIDITY)
        .unwrap();
    let other = authority_in(path, KeyAlgorithm::EcdsaP256);
    let stranger = other.certificate_pem();
    for (chain, authorities, expected) in [
        (leaf.clone(), intermediate.as_str(), true),
        (leaf.clone(), &root, false),
        (format!("{leaf}{intermediate}"), &root, true),
        (format!("{leaf}{stranger}{intermediate}"), &root, true),
        (format!("{leaf}{intermediate}"), stranger, false),
        (format!("{leaf}{intermediate}{root}"), stranger, false),
    ] {
        let leads = CertificateFacts::chain_leads_to(&chain, authorities).unwrap();
        assert_eq!(leads, expected, "{chain}\n{authorities}");
    }
}

#[test]
fn only_what_a_certificate_lacks_is_a_shortcoming() {
    let directory = TempDir::new().unwrap();
    let authority = authority_in(directory.path(), KeyAlgorithm::EcdsaP256);
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let generous = CertificateProfile {
        client_auth: true,
        organizations: ["harbour", "system:nodes"].map(str::to_owned).to_vec(),
        ..serving_profile()
    };
    let issued = authority
        .issue(&generous, &key, now(), CERTIFICATE_VALIDITY)
        .unwrap();
    let facts = CertificateFacts::parse(&issued).unwrap();
    assert!(!facts.difference_from(&serving_profile()).is_empty());
    assert_eq!(facts.shortcomings(&serving_profile()), [""; 0]);
    let mut wanted = serving_profile();
    wanted.dns_sans.push("another.example".to_owned());
    assert_eq!(
        facts.shortcomings(&wanted),
        ["it lacks the DNS name `another.example`"]
    );
}
