//! Real members of etcd with certificates: they come and go, are backed up and fill up.

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slipway_agent::etcd::{EtcdClient, EtcdCredentials, EtcdError, SnapshotFile};
use slipway_api::{EtcdAlarmKind, EtcdMemberId};
use tokio::process::Child;

use crate::control_plane::issue_certificates;
use crate::programs::{free_port, program, start};

/// A member of etcd; it ends when it is dropped.
pub struct Member {
    name: &'static str,
    client: u16,
    peer: u16,
    _process: Child,
}

impl Member {
    /// Starts a member beside `others`; the first of a cluster where there are none.
    pub fn start(folder: &Path, name: &'static str, others: &[&Member], peer: u16) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let client = free_port();
        let url = |port: u16| format!("https://127.0.0.1:{port}");
        let mut cluster = vec![format!("{name}={}", url(peer))];
        cluster.extend(
            others
                .iter()
                .map(|it| format!("{}={}", it.name, url(it.peer))),
        );
        let state = if others.is_empty() { "new" } else { "existing" };
        let arguments = [
            format!("--name={name}"),
            format!("--data-dir={}", at(name)),
            format!("--listen-client-urls={}", url(client)),
            format!("--advertise-client-urls={}", url(client)),
            format!("--listen-peer-urls={}", url(peer)),
            format!("--initial-advertise-peer-urls={}", url(peer)),
            format!("--initial-cluster={}", cluster.join(",")),
            format!("--initial-cluster-state={state}"),
            format!("--cert-file={}", at("server.crt")),
            format!("--key-file={}", at("server.key")),
            format!("--trusted-ca-file={}", at("ca.crt")),
            "--client-cert-auth".to_owned(),
            "--peer-auto-tls".to_owned(),
            "--quota-backend-bytes=1048576".to_owned(),
            "--unsafe-no-fsync".to_owned(),
        ];
        let process = start("etcd", &arguments, folder.join(format!("{name}.log")));
        Self {
            name,
            client,
            peer,
            _process: process,
        }
    }

    /// Returns where clients reach it.
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.client)
    }

    /// Runs etcdctl against this member and returns what it printed, and whether it succeeded.
    pub fn control(&self, folder: &Path, arguments: &[&str], input: &[u8]) -> (bool, String) {
        let mut command = Command::new(program("etcdctl"))
            .args(["--cacert=ca.crt", "--cert=admin.crt", "--key=admin.key"])
            .arg(format!("--endpoints={}", self.endpoint()))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        command.stdin.take().unwrap().write_all(input).unwrap();
        let output = command.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.success(), text)
    }
}

fn credentials(folder: &Path) -> EtcdCredentials {
    EtcdCredentials {
        ca_file: Some(folder.join("ca.crt")),
        client_files: Some((folder.join("admin.crt"), folder.join("admin.key"))),
    }
}

/// Repeats an act until it succeeds, for at most half a minute.
pub async fn eventually<T, F: Future<Output = Result<T, EtcdError>>>(
    mut act: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        match act().await {
            Ok(value) => return value,
            Err(error) => assert!(
                began.elapsed() < Duration::from_secs(30),
                "it never came true: {error}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Connects to a member once it serves.
pub async fn client_of(member: &Member, folder: &Path) -> EtcdClient {
    let (endpoint, credentials) = (member.endpoint(), credentials(folder));
    eventually(|| EtcdClient::connect(&endpoint, &credentials)).await
}

#[tokio::test]
async fn etcd_grows_to_three_members_and_loses_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue_certificates(folder);
    let first = Member::start(folder, "m-1", &[], free_port());
    let client = client_of(&first, folder).await;
    eventually(|| client.check_health()).await;

    let mut members = vec![first];
    for name in ["m-2", "m-3"] {
        let peer = free_port();
        let url = format!("https://127.0.0.1:{peer}");
        let urls = [url];
        // A member that has only just got its vote makes etcd wait before the next.
        let added = eventually(|| client.add_learner(&urls)).await;
        assert!(added.is_learner && !added.has_started(), "{added:?}");
        let again = client.add_learner(&urls).await.unwrap_err();
        assert!(matches!(again, EtcdError::Refused { .. }), "{again}");
        let others: Vec<&Member> = members.iter().collect();
        let member = Member::start(folder, name, &others, peer);
        let learner = client_of(&member, folder).await;
        let status = eventually(|| learner.status()).await;
        assert_eq!(status.id, added.id);
        assert!(status.is_learner, "{status:?}");
        assert!(
            learner.check_health().await.is_err(),
            "a learner serves no quorum reads"
        );
        eventually(|| client.promote(added.id)).await;
        eventually(|| learner.check_health()).await;
        members.push(member);
    }

    let listed = client.agreed_members().await.unwrap();
    let mut names: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["m-1", "m-2", "m-3"]);
    assert!(listed.iter().all(|it| !it.is_learner && it.has_started()));

    let (done, said) = members[0].control(folder, &["put", "harbour", "open"], b"");
    assert!(done, "{said}");
    let mut leaders = Vec::new();
    for member in &members {
        let client = client_of(member, folder).await;
        client.check_health().await.unwrap();
        let status = client.status().await.unwrap();
        assert_eq!(status.revision, 2, "{status:?}");
        assert_eq!(status.db_quota, Some(1_048_576));
        assert!(status.version.starts_with("3."), "{status:?}");
        leaders.push(status.leader.unwrap());
        let own = ["get", "--consistency=s", "--print-value-only", "harbour"];
        let (read, value) = member.control(folder, &own, b"");
        assert_eq!((read, value.trim()), (true, "open"));
        client.defragment().await.unwrap();
    }
    leaders.dedup();
    assert_eq!(leaders.len(), 1);

    let lost = members.pop().unwrap();
    let id = listed.iter().find(|it| it.name == lost.name).unwrap().id;
    drop(lost);
    let remaining = eventually(|| client.remove(id)).await;
    assert_eq!(remaining.len(), 2);
    let remaining = client.remove(id).await.unwrap();
    assert_eq!(remaining.len(), 2, "a second removal finds it done");
    let never = client.promote(EtcdMemberId::new(7)).await.unwrap_err();
    assert!(never.is_no_such_member(), "{never}");
}

#[tokio::test]
async fn a_snapshot_is_what_etcd_restores_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue_certificates(folder);
    let member = Member::start(folder, "m-1", &[], free_port());
    let client = client_of(&member, folder).await;
    eventually(|| client.check_health()).await;
    for number in 0..20 {
        let key = format!("ship-{number}");
        let (done, said) = member.control(folder, &["put", &key, "moored"], b"");
        assert!(done, "{said}");
    }

    let mut stream = client.snapshot().await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await.unwrap() {
        bytes.extend(piece);
    }
    let summary = stream.summary().unwrap();
    assert_eq!(summary.size, bytes.len() as u64);
    assert_eq!(stream.progress(), (summary.size, summary.size));
    let database = &bytes[..bytes.len() - 32];
    assert_eq!(
        summary.database_sha256,
        slipway_api::Sha256Digest::of(database)
    );

    // etcd's own tool takes it, digest and all, and finds the keys in it.
    let file = folder.join("snapshot.db");
    std::fs::write(&file, &bytes).unwrap();
    let status = Command::new(program("etcdutl"))
        .args(["snapshot", "status", "--write-out=json"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    let status: serde_json::Value = serde_json::from_str(&text).expect(&text);
    assert_eq!(status["revision"], 21, "{text}");
    let read = SnapshotFile::read(&file).unwrap();
    assert_eq!(read.revision, 21);
    assert_eq!(read.database_sha256, summary.database_sha256);
    assert_eq!(read.sha256, slipway_api::Sha256Digest::of(&bytes));
    let restored = Command::new(program("etcdutl"))
        .args(["snapshot", "restore", "--data-dir"])
        .arg(folder.join("restored"))
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert!(restored.status.success(), "{said}");
}

#[tokio::test]
async fn a_full_database_takes_writes_again_once_it_is_defragmented() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue_certificates(folder);
    let member = Member::start(folder, "m-1", &[], free_port());
    let client = client_of(&member, folder).await;
    eventually(|| client.check_health()).await;
    assert_eq!(client.alarms().await.unwrap(), []);

    let cargo = vec![b'x'; 200_000];
    let mut loads = 0;
    let said = loop {
        let (done, said) = member.control(folder, &["put", "cargo"], &cargo);
        if !done {
            break said;
        }
        loads += 1;
        assert!(loads < 20, "the quota is never reached");
    };
    assert!(said.contains("space exceeded"), "{said}");
    let alarms = client.alarms().await.unwrap();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(alarms[0].kind, EtcdAlarmKind::NoSpace);
    let full = client.status().await.unwrap();
    assert!(!full.errors.is_empty(), "{full:?}");

    let revision = full.revision.to_string();
    let (done, said) = member.control(folder, &["compaction", "--physical", &revision], b"");
    assert!(done, "{said}");
    client.defragment().await.unwrap();
    let small = client.status().await.unwrap();
    assert!(small.db_size < full.db_size, "{small:?} after {full:?}");
    client.disarm(alarms[0]).await.unwrap();
    assert_eq!(client.alarms().await.unwrap(), []);
    let (done, said) = member.control(folder, &["put", "cargo", "light"], b"");
    assert!(done, "{said}");
}

#[tokio::test]
async fn who_shows_no_certificate_is_told_why_etcd_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    issue_certificates(folder);
    let member = Member::start(folder, "m-1", &[], free_port());
    client_of(&member, folder).await;
    let stranger = EtcdCredentials {
        ca_file: Some(folder.join("ca.crt")),
        client_files: None,
    };
    let refused = match EtcdClient::connect(&member.endpoint(), &stranger).await {
        Err(error) => error,
        // Over TLS 1.3 the refusal comes after the handshake.
        Ok(client) => client.status().await.unwrap_err(),
    };
    let told = slipway_api::Failure::of(&refused).to_string();
    assert!(told.contains(&member.endpoint()), "{told}");
    let nobody = format!("https://127.0.0.1:{}", free_port());
    let error = EtcdClient::connect(&nobody, &credentials(folder))
        .await
        .unwrap_err();
    let told = format!("{:?}", slipway_api::Failure::of(&error));
    assert!(told.contains("refused"), "{told}");
}
