//! The same against OpenSSH's own server. Needs root and Debian's openssh-server and sudo.

mod sshd;

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use slipway_api::protocol::{
    AgentMessage, BlobReceived, FromAgent, Hello, PROTOCOL, Reply, Request,
};
use slipway_api::{Blob, HostName, Sha256Digest};
use slipway_hosts::agent::AgentBinaries;
use slipway_hosts::ssh::{HostKeyProblem, SshConnection, SshError, SshPool, SshTarget, SudoMode};
use slipway_hosts::{Host, HostError, Secret, SshHost};
use sshd::{PASSWORD, Sshd, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn cp_1() -> HostName {
    "cp-1".parse().expect("a host name")
}

#[tokio::test(flavor = "multi_thread")]
async fn root_logs_in_with_a_key_and_runs_commands() {
    let sshd = Sshd::start(&[]);
    let connection = SshConnection::open(&sshd.target("root"))
        .await
        .expect("connects");
    let exec = connection
        .exec("cat; echo error >&2; exit 3")
        .await
        .expect("accepted");
    let output = exec.output(b"input").await.expect("ends");
    assert_eq!(output.stdout, b"input");
    assert_eq!(output.stderr, b"error\n");
    assert_eq!(output.status.to_string(), "exit code 3");
    let exec = connection.exec("kill -TERM $$").await.expect("accepted");
    let output = exec.output(b"").await.expect("ends");
    assert_eq!(output.status.to_string(), "signal TERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_host_and_user_are_checked() {
    let sshd = Sshd::start(&[]);
    let mut target = sshd.target("root");
    target.identity_files = vec![sshd.path("stranger")];
    let error = SshConnection::open(&target)
        .await
        .expect_err("a strange key");
    assert!(
        matches!(error, SshError::AuthenticationFailed { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("the host accepts publickey"),
        "{error}"
    );

    let target = sshd.target("root");
    sshd.record_host_key("stranger", "");
    let error = SshConnection::open(&target)
        .await
        .expect_err("a changed key");
    assert!(is_problem(&error, |problem| matches!(
        problem,
        HostKeyProblem::Changed { .. }
    )));
    sshd.record_host_key("host_ed25519", "@revoked ");
    let error = SshConnection::open(&target)
        .await
        .expect_err("a revoked key");
    assert!(is_problem(&error, |problem| matches!(
        problem,
        HostKeyProblem::Revoked { .. }
    )));
    // The host has a key of this type too, and shows it because it is the one recorded.
    sshd.record_host_key("host_rsa", "");
    SshConnection::open(&target)
        .await
        .expect("the recorded type is asked for");
}

fn is_problem(error: &SshError, wanted: impl Fn(&HostKeyProblem) -> bool) -> bool {
    let SshError::HostKey { problem, .. } = error else {
        panic!("no host key problem: {error}");
    };
    wanted(problem)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_certificate_is_verified() {
    let sshd = Sshd::start(&[]);
    let (ca, host_key) = (sshd.path("stranger"), sshd.path("host_ed25519.pub"));
    let sign = |principal: &str| {
        let ca = ca.display().to_string();
        let key = host_key.display().to_string();
        run(
            "ssh-keygen",
            &["-q", "-s", &ca, "-I", "cp-1", "-h", "-n", principal, &key],
        );
    };
    sign("127.0.0.1");
    let config = sshd.path("sshd_config");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(config)
        .expect("opens");
    let certificate = sshd.path("host_ed25519-cert.pub");
    writeln!(file, "HostCertificate {}", certificate.display()).expect("written");
    sshd.reload();
    sshd.record_host_key("stranger", "@cert-authority ");
    let target = sshd.target("root");
    SshConnection::open(&target).await.expect("vouched for");
    sign("192.0.2.1");
    sshd.reload();
    let error = SshConnection::open(&target)
        .await
        .expect_err("vouched for somebody else");
    assert!(is_problem(&error, |problem| matches!(
        problem,
        HostKeyProblem::Certificate { .. }
    )));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_arrive_whole() {
    const SIZE: usize = 100 << 20;
    let sshd = Sshd::start(&[]);
    let connection = SshConnection::open(&sshd.target("root"))
        .await
        .expect("connects");
    let bytes: Vec<u8> = (0..SIZE).map(|index| (index / 251) as u8).collect();
    let mut exec = connection.exec("sha256sum").await.expect("accepted");
    let began = Instant::now();
    for piece in bytes.chunks(256 << 10) {
        exec.stdin.write_all(piece).await.expect("accepted");
    }
    exec.stdin.shutdown().await.expect("ends");
    let mut answer = String::new();
    exec.stdout
        .read_to_string(&mut answer)
        .await
        .expect("answers");
    let seconds = began.elapsed().as_secs_f64();
    println!("sent at {:.0} MB/s", SIZE as f64 / 1e6 / seconds);
    assert!(
        answer.starts_with(&Sha256Digest::of(&bytes).to_string()),
        "{answer}"
    );

    let mut exec = connection
        .exec(&format!("head -c {SIZE} /dev/zero"))
        .await
        .expect("accepted");
    let mut back = Vec::new();
    exec.stdout.read_to_end(&mut back).await.expect("whole");
    assert_eq!(back.len(), SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_fails_commands_in_flight() {
    let sshd = Sshd::start(&[]);
    let connection = SshConnection::open(&sshd.target("root"))
        .await
        .expect("connects");
    let exec = connection
        .exec("echo $PPID; sleep 60")
        .await
        .expect("accepted");
    let mut stdout = exec.stdout;
    let mut pid = [0; 16];
    let count = stdout.read(&mut pid).await.expect("a process ID");
    let pid = String::from_utf8_lossy(&pid[..count]).trim().to_owned();
    run("kill", &["-9", &pid]);
    let error = exec.exit.wait().await.expect_err("lost");
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
}

/// Returns an agent that says hello, answers the first request and then listens until the end.
fn small_agent() -> String {
    let hello = Hello {
        version: "0".into(),
        protocol: PROTOCOL,
    };
    let message = AgentMessage::Reply(Box::new(Reply::Done { changed: true }));
    let received = BlobReceived { failure: None };
    let json = |value: serde_json::Result<String>| value.expect("encodes");
    SMALL_AGENT
        .replace("HELLO", &json(serde_json::to_string(&hello)))
        .replace(
            "REPLY",
            &json(serde_json::to_string(&FromAgent { id: 0, message })),
        )
        .replace("RECEIVED", &json(serde_json::to_string(&received)))
}

/// The agent's text; words in capitals are messages.
const SMALL_AGENT: &str = r#"test "$1 $2" = "agent --stdio" || exit 9
test "$(id -u)" = 0 || exit 8
echo 'HELLO'
read -r channel
case "$channel" in
*blob*) head -c 1000000 | sha256sum >/var/lib/received; echo 'RECEIVED';;
*) read -r request; echo 'REPLY'; cat >/dev/null;;
esac"#;

async fn connect(target: &SshTarget, agent: &AgentBinaries) -> (Result<SshHost, HostError>, u64) {
    let sent = AtomicU64::new(0);
    let pool = SshPool::default();
    let progress = |bytes| sent.store(bytes, Ordering::SeqCst);
    let host = SshHost::connect(cp_1(), target, &pool, agent, &progress).await;
    (host, sent.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_is_brought_once_and_answers_whatever_sudo_asks() {
    let sshd = Sshd::start(&[]);
    let agent = sshd.agent(&small_agent()).await;
    let mut is_first = true;
    for (user, password) in [("root", None), ("free", None), ("asked", Some(PASSWORD))] {
        let mut target = sshd.target(user);
        target.password = password.map(Secret::new);
        let (host, sent) = connect(&target, &agent).await;
        let host = host.unwrap_or_else(|error| panic!("{user}: {error}"));
        assert_eq!(sent > 0, is_first, "{user}: uploaded once");
        is_first = false;
        let reply = host
            .request(Request::GatherFacts, &|_| ())
            .await
            .expect("answers");
        assert_eq!(reply, Reply::Done { changed: true });
        let bytes = vec![1; 1_000_000];
        let blob = Blob {
            sha256: Sha256Digest::of(&bytes),
            size: 1_000_000,
        };
        host.upload(&blob, Box::pin(std::io::Cursor::new(bytes)), &|_| ())
            .await
            .expect("taken");
        let show = host
            .connection()
            .exec("cat /var/lib/received")
            .await
            .expect("accepted");
        let output = show.output(b"").await.expect("ends");
        assert!(
            output
                .stdout
                .starts_with(blob.sha256.to_string().as_bytes()),
            "{output:?}"
        );
        host.close().await;
    }
    let root = SshConnection::open(&sshd.target("root"))
        .await
        .expect("connects");
    let list = root
        .exec("stat -c %a:%n /var/lib/slipway /var/lib/slipway/bin/*")
        .await;
    let output = list.expect("accepted").output(b"").await.expect("ends");
    let listing = String::from_utf8(output.stdout).expect("text");
    assert_eq!(listing.matches("700:").count(), 2, "{listing}");
    assert_eq!(listing.matches("600:").count(), 1, "the note: {listing}");
    assert_eq!(
        listing.lines().count(),
        3,
        "no temporary file is left: {listing}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_of_not_becoming_root_are_told_apart() {
    let sshd = Sshd::start(&[]);
    let agent = sshd.agent(&small_agent()).await;
    let attempt = async |user: &str, password: Option<&str>| {
        let mut target = sshd.target(user);
        target.password = password.map(Secret::new);
        let began = Instant::now();
        let error = connect(&target, &agent).await.0.err().expect("refused");
        assert!(began.elapsed() < Duration::from_secs(15), "{error}");
        error
    };
    let error = attempt("asked", None).await;
    assert!(
        matches!(error, HostError::SudoPasswordMissing { .. }),
        "{error:?}"
    );
    let error = attempt("asked", Some("wrong")).await;
    assert!(
        matches!(error, HostError::SudoPasswordWrong { .. }),
        "{error:?}"
    );
    let error = attempt("barred", Some(PASSWORD)).await;
    assert!(matches!(error, HostError::SudoRefused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("not in the sudoers file"),
        "{error}"
    );

    let mut target = sshd.target("free");
    target.sudo = SudoMode::Off;
    let error = connect(&target, &agent).await.0.err().expect("refused");
    assert!(matches!(error, HostError::AgentUpload { .. }), "{error:?}");
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_be_placed_or_started_says_why() {
    let sshd = Sshd::start(&["noexec"]);
    let agent = sshd.agent(&small_agent()).await;
    let error = connect(&sshd.target("root"), &agent)
        .await
        .0
        .err()
        .expect("noexec");
    assert!(
        matches!(error, HostError::NotExecutable { .. }),
        "{error:?}"
    );

    let sshd = Sshd::start(&["full"]);
    let padding = format!("{}\n#{}", small_agent(), "x".repeat(1 << 20));
    let agent = sshd.agent(&padding).await;
    let error = connect(&sshd.target("root"), &agent)
        .await
        .0
        .err()
        .expect("full");
    assert!(matches!(error, HostError::AgentUpload { .. }), "{error:?}");
    assert!(error.to_string().contains("No space left"), "{error}");

    let sshd = Sshd::start(&[]);
    let agent = sshd.agent("echo cannot run here >&2; exit 42").await;
    let error = connect(&sshd.target("root"), &agent)
        .await
        .0
        .err()
        .expect("ends");
    assert!(
        matches!(error, HostError::AgentDidNotStart { .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("exit code 42; cannot run here"),
        "{error}"
    );

    let only_other = AgentBinaries::default();
    let error = connect(&sshd.target("root"), &only_other)
        .await
        .0
        .err()
        .expect("none");
    assert!(matches!(error, HostError::NoAgent { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_on_the_host_is_brought_again() {
    let sshd = Sshd::start(&[]);
    let agent = sshd.agent(&small_agent()).await;
    let target = sshd.target("root");
    connect(&target, &agent)
        .await
        .0
        .expect("connects")
        .close()
        .await;
    let root = SshConnection::open(&target).await.expect("connects");
    let spoil = root
        .exec("for f in /var/lib/slipway/bin/*; do echo spoiled >>$f; done")
        .await;
    spoil.expect("accepted").output(b"").await.expect("ends");
    let (host, sent) = connect(&target, &agent).await;
    host.expect("connects");
    assert!(sent > 0);
}

/// Lets every `sha256sum` on the host be counted in `/var/lib/hashed`; the server has mounts of
/// its own.
const COUNT_DIGESTS: &str = r##"set -e; cd /var/lib; cp /usr/bin/sha256sum digest; : >hashed
printf "#!/bin/sh\necho once >>/var/lib/hashed\nexec /var/lib/digest \"\$@\"\n" >counting
chmod 755 digest counting; mount --bind counting /usr/bin/sha256sum"##;

/// Changes the agent's bytes, and neither its size nor its time of modification.
const SPOIL: &str = r#"set -e; cd /var/lib/slipway/bin; for f in slipway-*; do
touch -r "$f" /var/lib/time; printf X | dd of="$f" conv=notrunc status=none; touch -r /var/lib/time "$f"; done"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_taken_again_when_anything_about_the_file_is_new_and_not_before() {
    let sshd = Sshd::start(&[]);
    let agent = sshd.agent(&small_agent()).await;
    let target = sshd.target("root");
    let root = SshConnection::open(&target).await.expect("connects");
    let run = async |command: &str| {
        let exec = root.exec(command).await.expect("accepted");
        let output = exec.output(b"").await.expect("ends");
        String::from_utf8(output.stdout).expect("text")
    };
    run(COUNT_DIGESTS).await;
    // What happens to the host, and then how many digests are taken and whether bytes are sent.
    let boot = "for f in /var/lib/slipway/bin/verified-*; do sed -i '$s/.*/another boot/' $f; done";
    let cases = [
        ("true", 1, true),
        ("true", 0, false),
        (SPOIL, 2, true),
        ("true", 0, false),
        ("chmod 0755 /var/lib/slipway/bin", 1, false),
        ("true", 0, false),
        (boot, 1, false),
        ("rm /var/lib/slipway/bin/verified-*", 1, false),
        (": >$(echo /var/lib/slipway/bin/verified-*)", 1, false),
        ("true", 0, false),
    ];
    for (change, digests, sends) in cases {
        run(&format!("{change}; : >/var/lib/hashed")).await;
        let (host, sent) = connect(&target, &agent).await;
        host.unwrap_or_else(|error| panic!("{change}: {error}"))
            .close()
            .await;
        assert_eq!(sent > 0, sends, "{change}");
        let taken = run("cat /var/lib/hashed").await.lines().count();
        assert_eq!(taken, digests, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_hosts_are_opened_in_parallel() {
    let sshd = Sshd::start(&[]);
    let target = sshd.target("root");
    let began = Instant::now();
    let attempts = (0..50).map(|_| {
        let target = target.clone();
        tokio::spawn(async move { SshConnection::open(&target).await })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        attempt.await.expect("no panic").expect("connects");
    }
    println!("50 connections in {:?}", began.elapsed());
}
