//! The way of a request: written here, signed by somebody's CA, judged when it is back.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slipway_api::step::ControlPlaneNames;
use slipway_pki::KubeconfigName;

use super::*;
use crate::steps::{check, run};
use crate::write_certificate_requests;
use slipway_api::{Check, Step};

/// A host with a CA's certificate, and the CA elsewhere.
struct Scene {
    root: tempfile::TempDir,
    elsewhere: tempfile::TempDir,
    certificates: Vec<EnsureCertificate>,
    kubeconfigs: Vec<EnsureKubeconfig>,
}

impl Scene {
    /// Makes requests, has `openssl` sign them, and puts everything in place.
    fn new() -> Self {
        let scene = Self {
            root: tempfile::tempdir().unwrap(),
            elsewhere: tempfile::tempdir().unwrap(),
            certificates: [
                "apiserver",
                "apiserver-kubelet-client",
                "front-proxy-client",
            ]
            .map(certificate)
            .to_vec(),
            kubeconfigs: ["admin", "kubelet", "scheduler"].map(kubeconfig).to_vec(),
        };
        let configuration = "[req]\nprompt=no\ndistinguished_name=dn\n[dn]\n\
            [ca]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nkeyUsage=critical,keyCertSign\n\
            [leaf]\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n\
            subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        fs::write(scene.elsewhere.path().join("ca.cnf"), configuration).unwrap();
        for name in ["ca", "front-proxy-ca"] {
            scene.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf -extensions ca \
                 -days 30 -subj /DC=example/CN={name} -keyout {name}.key -out {name}.crt"
            ));
        }
        let pki = scene.at(paths::PKI_DIR);
        let kubernetes = scene.at(paths::KUBERNETES_DIR);
        let made =
            write_certificate_requests(&scene.certificates, &scene.kubeconfigs, &pki, &kubernetes);
        assert_eq!(made.unwrap().len(), 6);
        for name in ["ca", "front-proxy-ca"] {
            let file = format!("{name}.crt");
            fs::copy(scene.elsewhere.path().join(&file), pki.join(&file)).unwrap();
        }
        for step in &scene.certificates {
            let signer = match step.name.as_str() {
                "front-proxy-client" => "front-proxy-ca",
                _ => "ca",
            };
            let signed = scene.sign(&pki.join(format!("{}.csr", step.name)), signer);
            fs::write(pki.join(format!("{}.crt", step.name)), signed).unwrap();
        }
        for step in &scene.kubeconfigs {
            scene.finish(step, "ca");
        }
        scene
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.elsewhere.path())
            .output()
            .expect("these tests need the `openssl` command line; install the package `openssl`");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {errors}");
    }

    fn sign(&self, request: &Path, signer: &str) -> String {
        self.openssl(&format!(
            "x509 -req -in {} -CA {signer}.crt -CAkey {signer}.key -CAcreateserial -days 20 \
             -copy_extensions copyall -extfile ca.cnf -extensions leaf -out signed.crt",
            request.display()
        ));
        let verify =
            format!("verify -x509_strict -purpose sslclient -CAfile {signer}.crt signed.crt");
        self.openssl(&verify);
        fs::read_to_string(self.elsewhere.path().join("signed.crt")).unwrap()
    }

    /// Puts the signed certificate and the CA into a kubeconfig, as `kubectl config` does.
    fn finish(&self, step: &EnsureKubeconfig, authority: &str) {
        let name = KubeconfigName::ALL
            .into_iter()
            .find(|name| name.phase_name() == step.name)
            .unwrap();
        let path = self.at(paths::KUBERNETES_DIR).join(name.file_name());
        let text = fs::read_to_string(&path).unwrap();
        let key = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("client-key-data: "));
        let key = String::from_utf8(STANDARD.decode(key.unwrap()).unwrap()).unwrap();
        let request = path.with_extension("conf.csr");
        let ca = self.elsewhere.path().join(format!("{authority}.crt"));
        let finished = Kubeconfig {
            cluster_name: step.cluster_name.clone(),
            server: step.server.clone(),
            ca_pem: fs::read_to_string(ca).unwrap(),
            user_name: name.user_name(&step.node_name),
            credentials: Credentials::Embedded {
                cert_pem: self.sign(&request, authority),
                key_pem: key.into(),
            },
        };
        fs::write(path, finished.to_yaml().unwrap().as_bytes()).unwrap();
    }

    fn unfit(&self) -> Vec<(String, String)> {
        let judged = judge_given(
            &self.certificates,
            &self.kubeconfigs,
            None,
            self.root.path(),
        );
        let ProbeOutcome::Unfit { files } = judged else {
            panic!("{judged:?}");
        };
        files
            .into_iter()
            .map(|file| (file.path, file.why))
            .collect()
    }
}

fn certificate(name: &str) -> EnsureCertificate {
    EnsureCertificate {
        name: name.to_owned(),
        names: ControlPlaneNames {
            node_name: "cp-1".to_owned(),
            advertise_address: "192.0.2.11".parse().unwrap(),
            first_service_ip: "10.96.0.1".parse().unwrap(),
            dns_domain: "cluster.local".to_owned(),
            endpoint_host: None,
            extra_sans: vec!["api.example".to_owned()],
            etcd_server_sans: Vec::new(),
            etcd_peer_sans: Vec::new(),
            kubelet_client_is_admin: false,
        },
        algorithm: "ECDSA-P256".to_owned(),
        validity_seconds: 3600,
        is_external: true,
        replaces: None,
    }
}

fn kubeconfig(name: &str) -> EnsureKubeconfig {
    EnsureKubeconfig {
        name: name.to_owned(),
        node_name: "cp-1".to_owned(),
        server: "https://192.0.2.11:6443".to_owned(),
        cluster_name: "kubernetes".to_owned(),
        algorithm: "ECDSA-P256".to_owned(),
        validity_seconds: 3600,
        only_at_first: false,
        is_external: true,
        replaces: None,
    }
}

#[tokio::test]
async fn what_openssl_s_ca_signed_of_our_requests_is_taken_and_left_alone() {
    let scene = Scene::new();
    assert_eq!(scene.unfit(), []);
    let context = Context::new(
        scene.root.path(),
        mpsc::unbounded_channel().0,
        Attachment::default(),
    );
    let certificates = scene
        .certificates
        .iter()
        .cloned()
        .map(Step::EnsureCertificate);
    let kubeconfigs = scene
        .kubeconfigs
        .iter()
        .cloned()
        .map(Step::EnsureKubeconfig);
    for step in certificates.chain(kubeconfigs) {
        let checked = check(&step, &context).await.unwrap();
        assert_eq!(checked, Check::Satisfied, "{}", step.describe());
    }
    // Whatever is wrong, nothing is made in its place.
    let path = scene.at("/etc/kubernetes/pki/apiserver.crt");
    fs::copy(
        scene.at("/etc/kubernetes/pki/front-proxy-client.crt"),
        &path,
    )
    .unwrap();
    let before = fs::read(&path).unwrap();
    let step = Step::EnsureCertificate(certificate("apiserver"));
    let error = run(&step, &context).await.unwrap_err();
    assert!(
        error.to_string().contains("its key belongs to another"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn every_fault_of_given_files_is_told_at_once() {
    let scene = Scene::new();
    let pki = scene.at(paths::PKI_DIR);
    let kubernetes = scene.at(paths::KUBERNETES_DIR);
    fs::remove_file(pki.join("apiserver.crt")).unwrap();
    fs::remove_file(pki.join("apiserver.key")).unwrap();
    let request = pki.join("apiserver-kubelet-client.csr");
    let stranger = scene.sign(&request, "front-proxy-ca");
    fs::write(pki.join("apiserver-kubelet-client.crt"), stranger).unwrap();
    fs::remove_file(kubernetes.join("admin.conf")).unwrap();
    let text = fs::read_to_string(kubernetes.join("scheduler.conf")).unwrap();
    let other = text.replace("192.0.2.11", "192.0.2.99");
    fs::write(kubernetes.join("scheduler.conf"), other).unwrap();
    fs::write(kubernetes.join("kubelet.conf"), text).unwrap();
    let unfit = scene.unfit();
    let seen: Vec<(&str, &str)> = unfit
        .iter()
        .map(|(path, why)| (path.trim_start_matches("/etc/kubernetes/"), why.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("pki/apiserver.crt", "it is not there"),
            ("pki/apiserver.key", "it is not there"),
            (
                "pki/apiserver-kubelet-client.crt",
                "it was not issued by its certificate authority"
            ),
            ("admin.conf", "it is not there"),
            (
                "kubelet.conf",
                "the common name is `system:kube-scheduler` instead of `system:node:cp-1`; \
                 it lacks the organization `system:nodes`"
            ),
            (
                "scheduler.conf",
                "it names https://192.0.2.99:6443 where kubeadm names https://192.0.2.11:6443"
            ),
        ]
    );
}

#[test]
fn a_host_without_the_ca_knows_it_by_its_pin() {
    let scene = Scene::new();
    let ca = fs::read_to_string(scene.at(paths::CLUSTER_CA)).unwrap();
    let pin = public_key_pin(&ca).unwrap();
    fs::remove_file(scene.at(paths::CLUSTER_CA)).unwrap();
    let judge = |pin: &str| judge_given(&[], &scene.kubeconfigs, Some(pin), scene.root.path());
    assert_eq!(judge(&pin), ProbeOutcome::Unfit { files: vec![] });
    let ProbeOutcome::Unfit { files } = judge("sha256:another") else {
        panic!("they can be judged");
    };
    assert_eq!(files.len(), 3);
}

#[test]
fn requests_replace_nothing_and_are_nobody_else_s_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (pki, kubernetes) = (folder.path().join("pki"), folder.path().join("conf"));
    let write = || {
        let certificates = [certificate("apiserver"), certificate("etcd-server")];
        write_certificate_requests(&certificates, &[kubeconfig("admin")], &pki, &kubernetes)
    };
    write().unwrap();
    let files = [
        pki.join("apiserver.key"),
        pki.join("apiserver.csr"),
        pki.join("etcd/server.key"),
        pki.join("etcd/server.csr"),
        kubernetes.join("admin.conf"),
        kubernetes.join("admin.conf.csr"),
    ];
    for file in &files {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    for file in &files[1..] {
        fs::remove_file(file).unwrap();
    }
    let error = write().unwrap_err().to_string();
    assert!(error.contains("apiserver.key is there already"), "{error}");
    assert!(!files[1].exists(), "nothing was written");
}
