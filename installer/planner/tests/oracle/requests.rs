//! Keys and requests for an authority elsewhere, held against `kubeadm certs generate-csr`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use slipway_api::step::{EnsureCertificate, EnsureKubeconfig};
use slipway_pki::{
    CertificateName, CertificateProfile, Credentials, KeyAlgorithm, Kubeconfig, KubeconfigName,
    PrivateKey, certificate_request,
};
use slipway_planner::certificate_requests;

use crate::case::Case;
use crate::certificates::names;
use crate::differences::Differences;

/// Compares what we would write with what kubeadm writes.
pub fn compare(kubeadm: &Path, case: &Case, differences: &mut Differences) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path().join("kubeadm.yaml");
    std::fs::write(&config, case.kubeadm_configuration()).expect("it is written");
    let output = Command::new(kubeadm)
        .args(["certs", "generate-csr", "--cert-dir", "pki"])
        .args(["--kubeconfig-dir", "kubeconfigs", "--config"])
        .arg(&config)
        .current_dir(directory.path())
        .output()
        .expect("kubeadm starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", case.name);

    let host = &case.spec.first_control_plane().name;
    let ours = certificate_requests(&case.spec, host).expect("it can be told");
    let mut compared = 0;
    for step in &ours.certificates {
        let base = directory
            .path()
            .join("pki")
            .join(certificate(step).base_path());
        compare_secret(&base.with_extension("key"), differences);
        let profile = certificate(step).profile(&names(step)).expect("names");
        compare_request(&base.with_extension("csr"), &profile, differences);
        compared += 1;
    }
    for step in &ours.kubeconfigs {
        let name = kubeconfig(step);
        let path = directory.path().join("kubeconfigs").join(name.file_name());
        compare_secret(&path, differences);
        compare_kubeconfig(step, &path, differences);
        let request = path.with_extension("conf.csr");
        compare_request(&request, &name.profile(&step.node_name), differences);
        compared += 1;
    }
    // For somebody else's etcd kubeadm writes requests too, which nobody needs.
    let has_etcd = ours.certificates.len() == 7;
    let expected = if has_etcd { 12 } else { 8 };
    if compared != expected {
        differences.0.push(format!("{compared} requests"));
    }
}

fn compare_secret(path: &Path, differences: &mut Differences) {
    let found = std::fs::metadata(path);
    let mode = found.map(|found| found.permissions().mode() & 0o777).ok();
    if mode != Some(0o600) {
        let path = path.display();
        differences
            .0
            .push(format!("{path}: kubeadm's mode {mode:?}"));
    }
}

/// Compares everything that a request says but its key.
fn compare_request(path: &Path, profile: &CertificateProfile, differences: &mut Differences) {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).expect("a key");
    let ours = certificate_request(&key, profile).expect("a request");
    let own = path.with_extension("ours");
    std::fs::write(&own, ours).expect("it is written");
    let (ours, theirs) = (describe(&own), describe(path));
    if ours != theirs {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        differences
            .0
            .push(format!("{name}: ours\n{ours}\nkubeadm's\n{theirs}"));
    }
}

fn describe(path: &Path) -> String {
    let output = Command::new("openssl")
        .args([
            "req",
            "-noout",
            "-text",
            "-reqopt",
            "no_pubkey,no_sigdump",
            "-in",
        ])
        .arg(path)
        .output()
        .expect("these tests need the `openssl` command line");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", path.display());
    String::from_utf8(output.stdout).expect("openssl writes UTF-8")
}

fn compare_kubeconfig(step: &EnsureKubeconfig, path: &Path, differences: &mut Differences) {
    let name = kubeconfig(step);
    let ours = Kubeconfig {
        cluster_name: step.cluster_name.clone(),
        server: step.server.clone(),
        ca_pem: String::new(),
        user_name: name.user_name(&step.node_name),
        credentials: Credentials::KeyAlone(String::from("key").into()),
    };
    let parse = |text: &str| {
        let mut document: Value = serde_saphyr::from_str(text).expect("YAML");
        // kubeadm's own `init` has the kubelet talk to the API server beside it,
        // and so have we; its `generate-csr` writes the cluster's endpoint.
        if name == KubeconfigName::Kubelet {
            document["clusters"][0]["cluster"]["server"] = Value::Null;
        }
        let key = &mut document["users"][0]["user"]["client-key-data"];
        assert!(key.is_string(), "there is a key");
        *key = Value::Null;
        document
    };
    let theirs = std::fs::read_to_string(path).expect("kubeadm wrote it");
    let ours = ours.to_yaml().expect("it can be written");
    let at = format!("{}.conf of generate-csr", step.name);
    differences.compare(&at, &parse(&ours), &parse(&theirs));
}

fn certificate(step: &EnsureCertificate) -> CertificateName {
    let mut all = CertificateName::ALL.into_iter();
    all.find(|name| name.phase_name() == step.name)
        .expect("it is one of kubeadm's")
}

fn kubeconfig(step: &EnsureKubeconfig) -> KubeconfigName {
    let mut all = KubeconfigName::ALL.into_iter();
    all.find(|name| name.phase_name() == step.name)
        .expect("it is one of kubeadm's")
}
