//! The protocol with an agent, against one that is written out here, and the fake host.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slipway_api::protocol::{
    AgentMessage, BlobReceived, Channel, FromAgent, Hello, PROTOCOL, Reply, Request, StepEvent,
    ToAgent,
};
use slipway_api::{Blob, EtcdSnapshotLine, EtcdSnapshotSummary, Failure, HostName, Sha256Digest};
use slipway_hosts::{BlobReader, FakeHost, Fault, Host, HostError, LocalHost};
use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadHalf,
    WriteHalf,
};
use tokio::time::timeout;

fn cp_1() -> HostName {
    "cp-1".parse().expect("a host name")
}

fn read_journal() -> Request {
    Request::ReadJournal { run: None }
}

fn lock(holder: &str) -> Request {
    Request::Lock {
        holder: holder.into(),
    }
}

async fn say(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &impl serde::Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// An agent whose answers depend on the request: `ReadAdminKubeconfig` kills it, a lock called
/// `slow` is answered last, blobs larger than 1 MiB are refused before they are read.
async fn agent(
    reader: ReadHalf<DuplexStream>,
    mut writer: WriteHalf<DuplexStream>,
) -> io::Result<()> {
    writer.write_all(b"Welcome to cp-1\n").await?;
    say(
        &mut writer,
        &Hello {
            version: "0".into(),
            protocol: PROTOCOL,
        },
    )
    .await?;
    let mut reader = BufReader::new(reader);
    let mut first = String::new();
    reader.read_line(&mut first).await?;
    match serde_json::from_str(&first)? {
        Channel::Control => serve_control(reader, writer).await,
        Channel::Blob(blob) if blob.size > 1 << 20 => {
            let failure = Some(Failure::because("no space left").with_help("df -h"));
            say(&mut writer, &BlobReceived { failure }).await?;
            std::future::pending().await
        }
        Channel::EtcdSnapshot => {
            for (piece, remaining) in [(&b"ship"[..], 5), (b"shape", 0)] {
                say_piece(&mut writer, piece.len(), remaining).await?;
                writer.write_all(piece).await?;
            }
            let summary = EtcdSnapshotSummary {
                size: 9,
                database_sha256: Sha256Digest::of("shipshape"),
            };
            say(&mut writer, &EtcdSnapshotLine::Whole { summary }).await
        }
        Channel::Blob(blob) => {
            let mut bytes = vec![0; usize::try_from(blob.size).expect("small")];
            reader.read_exact(&mut bytes).await?;
            let is_right = Sha256Digest::of(&bytes) == blob.sha256;
            let failure = (!is_right).then(|| Failure::because("wrong digest"));
            say(&mut writer, &BlobReceived { failure }).await
        }
    }
}

async fn say_piece(
    writer: &mut (impl AsyncWrite + Unpin),
    size: usize,
    remaining: u64,
) -> io::Result<()> {
    say(writer, &EtcdSnapshotLine::Piece { size, remaining }).await
}

/// An agent that dies in the middle of a snapshot's second piece.
async fn dying_agent(
    reader: ReadHalf<DuplexStream>,
    mut writer: WriteHalf<DuplexStream>,
) -> io::Result<()> {
    let version = "0".into();
    let protocol = PROTOCOL;
    say(&mut writer, &Hello { version, protocol }).await?;
    let mut first = String::new();
    BufReader::new(reader).read_line(&mut first).await?;
    if serde_json::from_str::<Channel>(&first)? == Channel::Control {
        return std::future::pending().await;
    }
    say_piece(&mut writer, 4, 5).await?;
    writer.write_all(b"ship").await?;
    say_piece(&mut writer, 5, 0).await?;
    writer.write_all(b"sh").await
}

async fn serve_control(
    mut reader: BufReader<ReadHalf<DuplexStream>>,
    mut writer: WriteHalf<DuplexStream>,
) -> io::Result<()> {
    let mut slow = None;
    let mut line = String::new();
    while reader.read_line(&mut line).await? > 0 {
        let ToAgent { id, request } = serde_json::from_str(&line)?;
        line.clear();
        let done = AgentMessage::Reply(Box::new(Reply::Done { changed: true }));
        let message = if request == Request::ReadAdminKubeconfig {
            return Err(io::Error::other("killed"));
        } else if let Request::Lock { holder } = request {
            if holder == "slow" {
                slow = Some(id);
                continue;
            }
            let event = AgentMessage::Event(StepEvent::Log { line: holder });
            say(&mut writer, &FromAgent { id, message: event }).await?;
            done.clone()
        } else {
            AgentMessage::Failed(Failure::because("not here").with_help("go there"))
        };
        say(&mut writer, &FromAgent { id, message }).await?;
        if let Some(id) = slow.take() {
            say(&mut writer, &FromAgent { id, message: done }).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_snapshot_arrives_piece_by_piece() {
    let host = LocalHost::start(cp_1(), agent).await.expect("starts");
    let seen = Mutex::new(Vec::new());
    let hear = |received, total| seen.lock().expect("not poisoned").push((received, total));
    let mut bytes = Vec::new();
    let summary = host.receive_snapshot(&mut bytes, &hear).await;
    assert_eq!(bytes, b"shipshape");
    assert_eq!(summary.expect("it is whole").size, 9);
    assert_eq!(*seen.lock().expect("not poisoned"), [(4, 9), (9, 9)]);
}

#[tokio::test]
async fn half_a_snapshot_is_no_snapshot() {
    let host = LocalHost::start(cp_1(), dying_agent).await.expect("starts");
    let mut bytes = Vec::new();
    let cut = host.receive_snapshot(&mut bytes, &|_, _| {}).await;
    assert!(
        matches!(&cut, Err(HostError::ConnectionLost { .. })),
        "{cut:?}"
    );
}

#[tokio::test]
async fn replies_and_events_find_their_requests() {
    let host = LocalHost::start(cp_1(), agent).await.expect("starts");
    let seen = Mutex::new(Vec::new());
    let hear = |event: StepEvent| seen.lock().expect("not poisoned").push(event);
    let (slow, quick) = tokio::join!(
        host.request(lock("slow"), &|_| panic!("no event for the slow one")),
        host.request(lock("quick"), &hear),
    );
    assert_eq!(slow.expect("answered"), Reply::Done { changed: true });
    assert_eq!(quick.expect("answered"), Reply::Done { changed: true });
    let log = StepEvent::Log {
        line: "quick".into(),
    };
    assert_eq!(*seen.lock().expect("not poisoned"), [log]);

    let error = host
        .request(read_journal(), &|_| ())
        .await
        .expect_err("not here");
    assert_eq!(error.to_string(), "cp-1: not here");
    assert_eq!(error.to_failure().help.as_deref(), Some("go there"));
}

#[tokio::test]
async fn a_request_that_is_given_up_harms_no_other() {
    let host = LocalHost::start(cp_1(), agent).await.expect("starts");
    let given_up = timeout(
        Duration::from_millis(50),
        host.request(lock("slow"), &|_| ()),
    )
    .await;
    assert!(given_up.is_err());
    host.request(lock("next"), &|_| ()).await.expect("answered");
    host.request(lock("after"), &|_| ())
        .await
        .expect("answered");
}

#[tokio::test]
async fn an_agent_that_dies_fails_every_request_in_flight_and_all_later_ones() {
    let host = LocalHost::start(cp_1(), agent).await.expect("starts");
    let (one, two) = tokio::join!(
        host.request(lock("slow"), &|_| ()),
        host.request(Request::ReadAdminKubeconfig, &|_| ()),
    );
    for error in [one.expect_err("lost"), two.expect_err("lost")] {
        assert!(
            matches!(&error, HostError::ConnectionLost { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("the agent failed: killed"),
            "{error}"
        );
    }
    let error = host
        .request(lock("later"), &|_| ())
        .await
        .expect_err("lost");
    assert!(matches!(error, HostError::ConnectionLost { .. }), "{error}");
}

#[tokio::test]
async fn an_agent_of_another_protocol_or_without_hello_is_refused() {
    let other = |_, mut writer: WriteHalf<DuplexStream>| async move {
        say(
            &mut writer,
            &Hello {
                version: "9".into(),
                protocol: PROTOCOL + 1,
            },
        )
        .await
    };
    let error = LocalHost::start(cp_1(), other)
        .await
        .err()
        .expect("refused");
    assert!(matches!(error, HostError::Protocol { .. }), "{error}");
    let mute = |_, _| async { Err(io::Error::other("cannot read /proc")) };
    let error = LocalHost::start(cp_1(), mute).await.err().expect("refused");
    assert!(
        matches!(error, HostError::AgentDidNotStart { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("cannot read /proc"), "{error}");
}

fn blob_of(bytes: &[u8]) -> (Blob, BlobReader) {
    let blob = Blob {
        sha256: Sha256Digest::of(bytes),
        size: bytes.len() as u64,
    };
    (blob, Box::pin(io::Cursor::new(bytes.to_vec())))
}

#[tokio::test]
async fn blobs_arrive_whole_and_progress_is_told() {
    let host = LocalHost::start(cp_1(), agent).await.expect("starts");
    let (blob, content) = blob_of(&vec![7; 700_000]);
    let told = AtomicU64::new(0);
    host.upload(&blob, content, &|sent| told.store(sent, Ordering::SeqCst))
        .await
        .expect("taken");
    assert_eq!(told.load(Ordering::SeqCst), 700_000);

    let (blob, _) = blob_of(b"one");
    let (_, content) = blob_of(b"two");
    let error = host
        .upload(&blob, content, &|_| ())
        .await
        .expect_err("wrong bytes");
    assert_eq!(error.to_string(), "cp-1: wrong digest");

    let (blob, _) = blob_of(b"long");
    let (_, content) = blob_of(b"lo");
    let error = host
        .upload(&blob, content, &|_| ())
        .await
        .expect_err("too short");
    assert!(matches!(error, HostError::BlobUnreadable { .. }), "{error}");
}

#[tokio::test]
async fn an_agent_that_refuses_a_blob_early_is_heard() {
    let host = LocalHost::start(cp_1(), agent).await.expect("starts");
    let (blob, content) = blob_of(&vec![0; 8 << 20]);
    let upload = timeout(Duration::from_secs(5), host.upload(&blob, content, &|_| ()));
    let error = upload.await.expect("does not hang").expect_err("refused");
    assert_eq!(error.to_failure().message, "cp-1: no space left");
}

#[tokio::test]
async fn a_fake_host_keeps_blobs_and_suffers_its_faults() {
    let fake = FakeHost::new(cp_1());
    let host: Arc<dyn Host> = Arc::new(fake.clone());
    let (blob, content) = blob_of(b"blob");
    let missing = Request::MissingBlobs { blobs: vec![blob] };
    let reply = host
        .request(missing.clone(), &|_| ())
        .await
        .expect("answered");
    assert_eq!(
        reply,
        Reply::MissingBlobs {
            missing: vec![blob.sha256]
        }
    );
    host.upload(&blob, content, &|_| ()).await.expect("taken");
    let reply = host
        .request(missing.clone(), &|_| ())
        .await
        .expect("answered");
    assert_eq!(reply, Reply::MissingBlobs { missing: vec![] });

    fake.fail_at(3, Fault::Fail(Failure::because("disk full")));
    fake.fail_at(4, Fault::Hang);
    fake.fail_at(5, Fault::DieBefore);
    let error = host
        .request(missing.clone(), &|_| ())
        .await
        .expect_err("fails");
    assert_eq!(error.to_string(), "cp-1: disk full");
    let error = host
        .request(missing.clone(), &|_| ())
        .await
        .expect_err("hangs");
    assert_eq!(
        error.to_string(),
        "cp-1: no sign of life for 60 s while asked to: look for blobs"
    );
    for _ in 0..2 {
        let error = host
            .request(missing.clone(), &|_| ())
            .await
            .expect_err("dead");
        assert!(matches!(error, HostError::ConnectionLost { .. }), "{error}");
    }
    fake.revive();
    host.request(missing, &|_| ())
        .await
        .expect("answered again");
    assert!(fake.has_blob(&blob.sha256));
}

#[tokio::test]
async fn a_fake_host_can_die_with_its_work_done() {
    use slipway_api::step::RemovePods;
    use slipway_api::{Check, Phase, RunId, Step, StepId};

    let fake = FakeHost::new(cp_1());
    let step = Step::RemovePods(RemovePods {
        socket: "/run/containerd/containerd.sock".into(),
        unit: None,
        keeps_static: false,
    });
    let id = StepId::of(&cp_1(), Phase::CleanupNode, &step);
    let run = Request::RunStep {
        run: RunId::parse("run-1").expect("an ID"),
        id: id.clone(),
        step: Box::new(step.clone()),
        attachment: Default::default(),
    };
    fake.fail_at(0, Fault::DieAfter);
    fake.request(run, &|_| ())
        .await
        .expect_err("the answer is lost");
    assert_eq!(fake.applied_steps(), std::slice::from_ref(&step));
    fake.revive();
    let check = Request::CheckSteps {
        steps: vec![(id.clone(), step)],
    };
    let reply = fake.request(check, &|_| ()).await.expect("answered");
    assert_eq!(
        reply,
        Reply::Checks {
            checks: [(id, Check::Satisfied)].into()
        }
    );
}
