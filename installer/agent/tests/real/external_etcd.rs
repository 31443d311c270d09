//! A real etcd with certificates, asked as preflight asks somebody else's.

use std::time::{Duration, Instant};

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Probe, ProbeOutcome};

use crate::agent::Agent;
use crate::control_plane::issue_certificates;
use crate::programs::{free_port, start};

#[tokio::test]
async fn etcd_tells_its_version_to_those_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    issue_certificates(folder.path());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (client, peer) = (free_port(), free_port());
    let arguments = [
        format!("--data-dir={}", at("etcd")),
        format!("--listen-client-urls=https://127.0.0.1:{client}"),
        format!("--advertise-client-urls=https://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--cert-file={}", at("server.crt")),
        format!("--key-file={}", at("server.key")),
        format!("--trusted-ca-file={}", at("ca.crt")),
        "--client-cert-auth".to_owned(),
        "--unsafe-no-fsync".to_owned(),
    ];
    let _etcd = start("etcd", &arguments, folder.path().join("etcd.log"));
    let mut agent = Agent::start(folder.path()).await;
    let ask = |cert_file: &str, key_file: &str| Request::RunProbes {
        nonce: "n".to_owned(),
        from: "cp-1".parse().unwrap(),
        probes: vec![Probe::AskEtcdVersion {
            endpoint: format!("https://127.0.0.1:{client}"),
            ca_file: "/ca.crt".to_owned(),
            cert_file: cert_file.to_owned(),
            key_file: key_file.to_owned(),
        }],
    };
    let began = Instant::now();
    let version = loop {
        let reply = agent.ask(ask("/admin.crt", "/admin.key")).await;
        let Reply::Probes { outcomes } = reply else {
            panic!("{reply:?}");
        };
        match &outcomes[..] {
            [ProbeOutcome::EtcdVersion { version }] => break version.clone(),
            other => assert!(began.elapsed() < Duration::from_secs(30), "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(version.starts_with("3."), "{version}");
    let reply = agent.ask(ask("", "")).await;
    let Reply::Probes { outcomes } = reply else {
        panic!("{reply:?}");
    };
    assert!(
        matches!(&outcomes[..], [ProbeOutcome::Failed { .. }]),
        "{outcomes:?}"
    );
}
