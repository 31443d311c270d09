//! `certs generate-csr`: what it writes and refuses.

use crate::cluster::{Ended, end, slipway};

const FILE: &str = "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: { name: harbour }
spec:
  kubernetesVersion: 1.36.3
  hosts:
    - { name: cp-1, address: 192.0.2.11, role: control-plane }
    - { name: w-1, address: 192.0.2.21, role: worker }
";

#[tokio::test]
async fn requests_are_written_for_a_host_of_the_file_and_replace_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("harbour.yaml");
    std::fs::write(&file, FILE).unwrap();
    let generate = async |more: &[&str]| {
        let mut command = slipway(folder.path());
        command
            .args(["certs", "generate-csr", "-o", "json", "-f"])
            .arg(&file);
        command.arg("--cert-dir").arg(folder.path().join("pki"));
        command
            .arg("--kubeconfig-dir")
            .arg(folder.path().join("conf"));
        end(command.args(more).spawn().unwrap()).await
    };
    let Ended {
        code,
        stdout,
        stderr,
    } = generate(&["--host", "w-1"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let written: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let kubelet = folder.path().join("conf/kubelet.conf");
    assert_eq!(written["files"], serde_json::json!([kubelet]));
    assert!(kubelet.with_extension("conf.csr").exists());

    let Ended { code, stderr, .. } = generate(&[]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("nothing was written"), "{stderr}");
    assert!(!folder.path().join("pki").exists());

    std::fs::remove_dir_all(folder.path().join("conf")).unwrap();
    let Ended { code, stderr, .. } = generate(&[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let text = std::fs::read_to_string(folder.path().join("conf/admin.conf")).unwrap();
    assert!(text.contains("server: https://192.0.2.11:6443") && text.contains("client-key-data"));
    assert!(
        folder
            .path()
            .join("pki/etcd/healthcheck-client.csr")
            .exists()
    );

    let Ended { code, stderr, .. } = generate(&["--host", "other"]).await;
    assert_eq!(code, Some(64), "{stderr}");
    let Ended { code, stderr, .. } = generate(&["--node-name", "cp-2"]).await;
    assert_eq!(code, Some(64), "{stderr}");
}
