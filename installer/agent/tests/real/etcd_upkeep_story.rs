//! The agent's steps on a real etcd: a full database is defragmented, a snapshot restored.

use std::path::Path;

use slipway_api::step::{DefragmentEtcd, RestoreEtcd};
use slipway_api::{Blob, Check, Sha256Digest, Step, paths};

use crate::agent::Agent;
use crate::control_plane::issue_certificates;
use crate::etcd_story::{Member, client_of, eventually};
use crate::programs::{free_port, program};

/// Puts the certificates where a control-plane node has them.
fn install_certificates(folder: &Path) {
    let pki = folder.join("etc/kubernetes/pki/etcd");
    std::fs::create_dir_all(&pki).unwrap();
    for (from, to) in [
        ("ca.crt", "ca.crt"),
        ("admin.crt", "healthcheck-client.crt"),
        ("admin.key", "healthcheck-client.key"),
    ] {
        std::fs::copy(folder.join(from), pki.join(to)).unwrap();
    }
}

#[tokio::test]
async fn a_defragmented_member_takes_writes_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue_certificates(folder);
    install_certificates(folder);
    let member = Member::start(folder, "m-1", &[], free_port());
    let client = client_of(&member, folder).await;
    eventually(|| client.check_health()).await;
    let step = Step::DefragmentEtcd(DefragmentEtcd {
        member: "m-1".to_owned(),
        endpoint: member.endpoint(),
    });
    let mut agent = Agent::start(folder).await;
    assert_eq!(agent.check(&step).await, Check::Satisfied);

    let cargo = vec![b'x'; 200_000];
    while member.control(folder, &["put", "cargo"], &cargo).0 {}
    let Check::Needed { because } = agent.check(&step).await else {
        panic!("the database is full");
    };
    assert_eq!(because, "alarm NOSPACE: etcd takes no writes");
    let revision = client.status().await.unwrap().revision.to_string();
    let (done, said) = member.control(folder, &["compaction", "--physical", &revision], b"");
    assert!(done, "{said}");
    assert!(agent.run(&step).await);
    assert_eq!(agent.check(&step).await, Check::Satisfied);
    let (done, said) = member.control(folder, &["put", "cargo", "light"], b"");
    assert!(done, "{said}");
}

#[tokio::test]
async fn a_restored_member_has_what_the_snapshot_had_and_is_far_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue_certificates(folder);
    let peer = free_port();
    let member = Member::start(folder, "m-1", &[], peer);
    let client = client_of(&member, folder).await;
    eventually(|| client.check_health()).await;
    let put = |member: &Member, key: &str| {
        let (done, said) = member.control(folder, &["put", key, "moored"], b"");
        assert!(done, "{said}");
    };
    put(&member, "kept");
    let mut stream = client.snapshot().await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await.unwrap() {
        bytes.extend(piece);
    }
    put(&member, "lost");
    drop(member);

    let snapshot = Blob {
        sha256: Sha256Digest::of(&bytes),
        size: bytes.len() as u64,
    };
    let blobs = folder.join(paths::BLOB_DIR.trim_start_matches('/'));
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(snapshot.sha256.to_string()), &bytes).unwrap();
    let tools = folder.join(paths::ETCDUTL_DIR.trim_start_matches('/'));
    std::fs::create_dir_all(&tools).unwrap();
    std::fs::copy(program("etcdutl"), tools.join("etcdutl")).unwrap();
    let peer_url = format!("https://127.0.0.1:{peer}");
    let step = Step::RestoreEtcd(RestoreEtcd {
        restore: "20261121-101500-0000002a".to_owned(),
        snapshot,
        revision: 2,
        program: format!("{}/etcdutl", paths::ETCDUTL_DIR),
        member: "m-1".to_owned(),
        initial_cluster: vec![format!("m-1={peer_url}")],
        peer_url,
        data_dir: "/m-1".to_owned(),
    });
    let mut agent = Agent::start(folder).await;
    assert!(agent.run(&step).await);
    assert!(!agent.run(&step).await, "a second run finds it done");
    assert!(!tools.exists() && !blobs.join(snapshot.sha256.to_string()).exists());
    let old = folder.join("m-1/before-20261121-101500-0000002a/member/snap/db");
    assert!(old.is_file(), "the old data is kept");

    let member = Member::start(folder, "m-1", &[], peer);
    let client = client_of(&member, folder).await;
    eventually(|| client.check_health()).await;
    let (_, kept) = member.control(folder, &["get", "kept", "--print-value-only"], b"");
    let (_, lost) = member.control(folder, &["get", "lost", "--print-value-only"], b"");
    assert_eq!((kept.trim(), lost.trim()), ("moored", ""));
    assert!(client.status().await.unwrap().revision > 1_000_000_000);
    // Whoever watched at the old revision is told that it is gone.
    let (_, told) = member.control(folder, &["get", "kept", "--rev=2"], b"");
    assert!(told.contains("compacted"), "{told}");
}
