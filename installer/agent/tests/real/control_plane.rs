//! An etcd and a kube-apiserver on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::process::Child;

use crate::programs::{free_port, start};

/// The name that the API server's certificate carries beside its address.
pub const SERVER_NAME: &str = "api.harbour.example";

/// A control plane of the two programs that the API needs; they end when it is dropped.
pub struct ControlPlane {
    folder: TempDir,
    /// The API server.
    pub api_server: Child,
    _etcd: Child,
    port: u16,
}

impl ControlPlane {
    /// Starts etcd and the API server and does not wait for them.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        issue_certificates(folder.path());
        publish_key(folder.path());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let etcd = [
            format!("--data-dir={}", at("etcd")),
            format!("--listen-client-urls=http://127.0.0.1:{client}"),
            format!("--advertise-client-urls=http://127.0.0.1:{client}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            "--unsafe-no-fsync".to_owned(),
        ];
        let api_server = [
            format!("--etcd-servers=http://127.0.0.1:{client}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=192.0.2.1".to_owned(),
            format!("--secure-port={port}"),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            format!("--client-ca-file={}", at("ca.crt")),
            format!("--tls-cert-file={}", at("server.crt")),
            format!("--tls-private-key-file={}", at("server.key")),
            format!("--service-account-key-file={}", at("sa.pub")),
            format!("--service-account-signing-key-file={}", at("server.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-bootstrap-token-auth=true".to_owned(),
            // No controller manager runs here to make the account that it wants.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        let etcd = start("etcd", &etcd, folder.path().join("etcd.log"));
        let log = folder.path().join("kube-apiserver.log");
        let api_server = start("kube-apiserver", &api_server, log);
        Self {
            folder,
            api_server,
            _etcd: etcd,
            port,
        }
    }

    /// Returns the API server's URL.
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the certificate of the CA.
    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.crt")).expect("it was issued")
    }

    /// Starts the controllers that sign `cluster-info` for bootstrap tokens; they
    /// end when the value is dropped.
    pub fn start_signer(&self) -> Child {
        let conf = self.admin_conf(&self.endpoint());
        let arguments = [
            format!("--kubeconfig={}", conf.display()),
            "--controllers=bootstrap-signer-controller,token-cleaner-controller".to_owned(),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        let log = self.folder.path().join("kube-controller-manager.log");
        start("kube-controller-manager", &arguments, log)
    }

    /// Writes a kubeconfig with the administrator's certificate and returns its path.
    pub fn admin_conf(&self, server: &str) -> PathBuf {
        self.kubeconfig(
            server,
            "{ client-certificate: admin.crt, client-key: admin.key }",
        )
    }

    /// Writes a kubeconfig with the credentials `user`, in YAML, and returns its path.
    pub fn kubeconfig(&self, server: &str, user: &str) -> PathBuf {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
             clusters: [ {{ name: a, cluster: {{ server: '{server}', certificate-authority: ca.crt }} }} ]\n\
             contexts: [ {{ name: a, context: {{ cluster: a, user: a }} }} ]\n\
             users: [ {{ name: a, user: {user} }} ]\n"
        );
        let path = tempfile::Builder::new()
            .suffix(".conf")
            .tempfile_in(self.folder.path())
            .expect("the folder is writable")
            .into_temp_path()
            .keep()
            .expect("the file can be kept");
        std::fs::write(&path, text).expect("the folder is writable");
        path
    }
}

impl Drop for ControlPlane {
    /// Shows why the API server ended, where a test failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.folder.path().join("kube-apiserver.log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(20)..];
            eprintln!("kube-apiserver's last lines:\n{}", tail.join("\n"));
        }
    }
}

/// Issues a CA and, from it, the server's and the administrator's certificates.
pub fn issue_certificates(folder: &Path) {
    let names = format!("subjectAltName=IP:127.0.0.1,DNS:{SERVER_NAME}");
    let key = |name: &str| format!("{name}.key");
    openssl(
        folder,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key("ca"),
            "-out",
            "ca.crt",
            "-days",
            "1",
            "-subj",
            "/CN=kubernetes",
        ],
    );
    let leaves = [
        ("server", "/CN=kube-apiserver", names.as_str(), "serverAuth"),
        (
            "admin",
            "/O=system:masters/CN=admin",
            "subjectAltName=DNS:admin",
            "clientAuth",
        ),
    ];
    for (name, subject, alternative_names, usage) in leaves {
        let certificate = format!("{name}.crt");
        let usage = format!("extendedKeyUsage={usage}");
        openssl(
            folder,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                &key(name),
                "-out",
                &certificate,
                "-days",
                "1",
                "-subj",
                subject,
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-addext",
                alternative_names,
                "-addext",
                &usage,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        );
    }
}

/// Writes the public half of the key that signs service account tokens here.
fn publish_key(folder: &Path) {
    openssl(
        folder,
        &["pkey", "-in", "server.key", "-pubout", "-out", "sa.pub"],
    );
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
}
