//! `token create --upload-certs`: a way into the cluster for control-plane nodes that kubeadm joins.

use slipway_api::protocol::{Reply, Request, TokenRequest, TokenSummary};
use slipway_api::{Failure, SecretText};

use crate::cluster::{Cluster, Ended};

/// A certificate key.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What the control plane answers about tokens and keys.
fn answer(request: &Request) -> Option<Reply> {
    let token = TokenSummary {
        token: "abcdef.0123456789abcdef".to_owned(),
        expires: None,
        usages: Vec::new(),
        description: None,
        groups: Vec::new(),
    };
    if *request == Request::UploadCertificates {
        let key = SecretText::new(KEY);
        return Some(Reply::CertificateKey { key });
    }
    let Request::Token(request) = request else {
        return None;
    };
    match request {
        TokenRequest::JoinTarget => Some(Reply::JoinTarget {
            endpoint: "api.example:6443".to_owned(),
            ca_pins: vec!["sha256:42".to_owned()],
            is_balanced: false,
        }),
        TokenRequest::Create { .. } => Some(Reply::Tokens {
            tokens: vec![token],
        }),
        TokenRequest::List | TokenRequest::Delete { .. } => None,
    }
}

fn give_endpoint(cluster: &Cluster) {
    let text = std::fs::read_to_string(cluster.file()).unwrap();
    let given = "spec:\n  controlPlaneEndpoint: api.example:6443\n";
    std::fs::write(cluster.file(), text.replace("spec:\n", given)).unwrap();
}

async fn create(cluster: &Cluster, more: &[&str]) -> Ended {
    let command = ["token", "create", "--print-join-command", "--upload-certs"];
    let arguments: Vec<&str> = command.iter().chain(more).copied().collect();
    cluster.run(&arguments).await
}

#[tokio::test]
async fn the_command_for_kubeadm_is_printed_with_the_key_in_it() {
    let cluster = Cluster::up_with(|_, request| answer(request).map(Ok)).await;
    give_endpoint(&cluster);
    let ended = create(&cluster, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let command = format!(
        "kubeadm join api.example:6443 --token abcdef.0123456789abcdef \
         --discovery-token-ca-cert-hash sha256:42 --control-plane --certificate-key {KEY}"
    );
    assert_eq!(ended.stdout, format!("{command}\n"));
    assert_eq!(ended.stderr, "");

    let ended = create(&cluster, &["-o", "json"]).await;
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["certificateKey"], KEY);
    assert_eq!(document["joinCommand"], command);
    assert_eq!(document["token"]["token"], "abcdef.0123456789abcdef");
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_uploaded() {
    let cluster = Cluster::up_with(|_, request| {
        let is_upload = *request == Request::UploadCertificates;
        is_upload.then(|| Err(Failure::because("it was asked")))
    })
    .await;
    for arguments in [
        &["token", "create", "--print-join-command", "--upload-certs"][..],
        &["init", "--upload-certs", "-y"],
    ] {
        let ended = cluster.run(arguments).await;
        assert_eq!(ended.code, Some(64), "{}", ended.stderr);
        let said = "kubeadm wants a `controlPlaneEndpoint`";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stderr.contains("slipway join -f"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_key_that_is_elsewhere_is_told_and_no_token_is_made() {
    let cluster = Cluster::up_with(|_, request| {
        if *request == Request::UploadCertificates {
            return Some(Err(Failure::because("ca.key is not on this host")));
        }
        let is_token = matches!(request, Request::Token(TokenRequest::Create { .. }));
        assert!(!is_token, "no token is made");
        answer(request).map(Ok)
    })
    .await;
    give_endpoint(&cluster);
    let ended = create(&cluster, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("ca.key is not on this host"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
}
