//! SSH connections against a server in this process: logins, host keys, commands, lost ends.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use russh::keys::{key::safe_rng, ssh_key::LineEnding};
use slipway_hosts::Secret;
use slipway_hosts::ssh::{
    ExitStatus, HostKeyProblem, PassphraseSource, SshConnection, SshError, SshPool, SshTarget,
};
use support::{Doors, PASSWORD, Server, new_key};
use tokio::io::AsyncReadExt;

async fn open_to_anyone() -> (Server, SshTarget) {
    let server = Server::start(Doors {
        password: true,
        ..Doors::default()
    })
    .await;
    let mut target = server.target();
    target.password = Some(Secret::new(PASSWORD));
    (server, target)
}

#[tokio::test]
async fn a_key_from_a_file_logs_in() {
    let key = new_key();
    let doors = Doors {
        key: Some(key.public_key().clone()),
        ..Doors::default()
    };
    let server = Server::start(doors).await;
    let mut target = server.target();
    target.identity_files = vec![
        server.identity("wrong", &new_key()),
        server.identity("right", &key),
    ];
    SshConnection::open(&target)
        .await
        .expect("the second key is right");
}

#[tokio::test]
async fn an_encrypted_key_needs_its_passphrase() {
    let key = new_key();
    let doors = Doors {
        key: Some(key.public_key().clone()),
        ..Doors::default()
    };
    let server = Server::start(doors).await;
    let locked = key.encrypt(&mut safe_rng(), "sesame").expect("encrypts");
    let path = server.folder.path().join("locked");
    let text = locked.to_openssh(LineEnding::LF).expect("encodes");
    std::fs::write(&path, text.as_bytes()).expect("written");

    let mut target = server.target();
    target.identity_files = vec![path.clone()];
    target.passphrase = PassphraseSource::asking(|_| None);
    let error = SshConnection::open(&target)
        .await
        .expect_err("no passphrase");
    assert!(
        error
            .to_string()
            .contains("encrypted, and there is no passphrase"),
        "{error}"
    );
    assert!(
        error.help().contains("SLIPWAY_SSH_PASSPHRASE"),
        "{}",
        error.help()
    );

    target.passphrase = PassphraseSource::asking(|_| Some(Secret::new("wrong")));
    let error = SshConnection::open(&target)
        .await
        .expect_err("wrong passphrase");
    assert!(
        error.to_string().contains("the passphrase is wrong"),
        "{error}"
    );

    target.passphrase = PassphraseSource::asking(|_| Some(Secret::new("sesame")));
    SshConnection::open(&target)
        .await
        .expect("right passphrase");
}

#[tokio::test]
async fn a_password_logs_in_in_both_ways() {
    for doors in [
        Doors {
            password: true,
            ..Doors::default()
        },
        Doors {
            keyboard_interactive: true,
            ..Doors::default()
        },
    ] {
        let server = Server::start(doors).await;
        let mut target = server.target();
        target.password = Some(Secret::new(PASSWORD));
        SshConnection::open(&target).await.expect("right password");
        target.password = Some(Secret::new("wrong"));
        let error = SshConnection::open(&target)
            .await
            .expect_err("wrong password");
        assert!(error.to_string().contains("tried password"), "{error}");
        assert!(!format!("{error} {error:?} {target:?}").contains("wrong"));
    }
}

#[tokio::test]
async fn a_failed_login_tells_what_was_tried_and_what_is_accepted() {
    let doors = Doors {
        key: Some(new_key().public_key().clone()),
        ..Doors::default()
    };
    let server = Server::start(doors).await;
    let mut target = server.target();
    let error = SshConnection::open(&target)
        .await
        .expect_err("nothing to offer");
    let text = error.to_string();
    assert!(
        text.contains("cp-1: the user `ops` could not log in to 127.0.0.1:"),
        "{text}"
    );
    assert!(
        text.contains("there was nothing to offer; the host accepts publickey"),
        "{text}"
    );

    let wrong = server.identity("wrong", &new_key());
    target.identity_files = vec!["/no/such/key".into(), wrong.clone()];
    let text = SshConnection::open(&target)
        .await
        .expect_err("wrong key")
        .to_string();
    assert!(text.contains("/no/such/key (No such file"), "{text}");
    assert!(text.contains(&format!("key {}", wrong.display())), "{text}");
}

#[tokio::test]
async fn a_host_that_hangs_up_during_login_is_told_apart() {
    let doors = Doors {
        key: Some(new_key().public_key().clone()),
        ..Doors::default()
    };
    let server = Server::start(doors).await;
    let mut target = server.target();
    target.identity_files = (0..10)
        .map(|number| server.identity(&format!("wrong-{number}"), &new_key()))
        .collect();
    let error = SshConnection::open(&target)
        .await
        .expect_err("too many keys");
    assert!(
        error.to_string().contains("closed the connection"),
        "{error}"
    );
    assert!(error.help().contains("identityFile"), "{}", error.help());
}

#[tokio::test]
async fn an_unknown_host_is_refused_unless_new_keys_are_accepted() {
    let (server, mut target) = open_to_anyone().await;
    let file = server.folder.path().join("new/known_hosts");
    target.known_hosts_files = vec![file.clone()];
    let error = SshConnection::open(&target).await.expect_err("unknown");
    assert!(is_problem(&error, |problem| matches!(
        problem,
        HostKeyProblem::Unknown { .. }
    )));

    target.accept_new_host_keys = true;
    SshConnection::open(&target)
        .await
        .expect("trusted at first contact");
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("exists")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a parent")), 0o700);

    target.accept_new_host_keys = false;
    SshConnection::open(&target)
        .await
        .expect("known from now on");
}

#[tokio::test]
async fn a_new_key_is_appended_after_a_line_without_newline() {
    let (server, mut target) = open_to_anyone().await;
    let file = server.folder.path().join("known_hosts");
    std::fs::write(&file, "other ssh-ed25519 AAAA").expect("written");
    target.accept_new_host_keys = true;
    SshConnection::open(&target)
        .await
        .expect("trusted at first contact");
    let text = std::fs::read_to_string(&file).expect("readable");
    assert!(
        text.starts_with("other ssh-ed25519 AAAA\n[127.0.0.1]:"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2);
}

#[tokio::test]
async fn a_changed_or_revoked_key_is_never_accepted() {
    let (server, mut target) = open_to_anyone().await;
    target.accept_new_host_keys = true;
    server.record(new_key().public_key(), "");
    let error = SshConnection::open(&target).await.expect_err("changed");
    assert!(is_problem(&error, |problem| matches!(
        problem,
        HostKeyProblem::Changed { .. }
    )));
    assert!(error.to_string().contains("HAS CHANGED"), "{error}");

    server.record(&server.host_key, "@revoked ");
    let error = SshConnection::open(&target).await.expect_err("revoked");
    assert!(is_problem(&error, |problem| matches!(
        problem,
        HostKeyProblem::Revoked { .. }
    )));
}

fn is_problem(error: &SshError, wanted: impl Fn(&HostKeyProblem) -> bool) -> bool {
    let SshError::HostKey { problem, .. } = error else {
        panic!("no host key problem: {error}");
    };
    wanted(problem)
}

#[tokio::test]
async fn commands_return_output_and_exit_status() {
    let (_server, target) = open_to_anyone().await;
    let connection = SshConnection::open(&target).await.expect("connects");
    let exec = connection.exec("echo hello").await.expect("accepted");
    let output = exec.output(b"").await.expect("ends");
    assert_eq!(
        (output.stdout.as_slice(), output.status),
        (b"hello".as_slice(), ExitStatus::Code(0))
    );
    let exec = connection.exec("fail").await.expect("accepted");
    let output = exec.output(b"").await.expect("ends");
    assert_eq!(output.stderr, b"no such thing");
    assert_eq!(output.status, ExitStatus::Code(7));
    let error = connection.exec("forbidden").await.expect_err("refused");
    assert!(matches!(error, SshError::CommandsRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_cut_connection_is_an_error_and_never_a_short_answer() {
    let (_server, target) = open_to_anyone().await;
    let connection = SshConnection::open(&target).await.expect("connects");
    let hanging = connection.exec("hang").await.expect("accepted");
    let mut exec = connection.exec("cut").await.expect("accepted");
    let mut text = Vec::new();
    exec.stdout
        .read_to_end(&mut text)
        .await
        .expect_err("not an end");
    let error = exec.exit.wait().await.expect_err("lost");
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
    assert!(
        error.to_string().contains("the host said `going down`"),
        "{error}"
    );
    let error = hanging.exit.wait().await.expect_err("lost as well");
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
    let error = connection
        .exec("echo x")
        .await
        .expect_err("nothing works any more");
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
}

#[tokio::test]
async fn hosts_behind_one_bastion_share_its_connection() {
    let (bastion, hop) = open_to_anyone().await;
    let (one, mut first) = open_to_anyone().await;
    let (two, mut second) = open_to_anyone().await;
    first.proxy_jump = vec![hop.clone()];
    second.proxy_jump = vec![hop];
    let pool = SshPool::default();
    let (first, second) = tokio::join!(pool.open(&first), pool.open(&second));
    let first = first.expect("through the bastion");
    second.expect("through the bastion");
    let output = first
        .exec("echo far")
        .await
        .expect("accepted")
        .output(b"")
        .await;
    assert_eq!(output.expect("ends").stdout, b"far");
    let count = |server: &Server| server.connections.load(Ordering::SeqCst);
    assert_eq!((count(&bastion), count(&one), count(&two)), (1, 1, 1));
}

#[tokio::test]
async fn a_bastion_that_lets_nobody_in_fails_every_host_behind_it_at_once() {
    let (bastion, mut hop) = open_to_anyone().await;
    hop.password = Some(Secret::new("wrong"));
    let (_far, mut target) = open_to_anyone().await;
    target.proxy_jump = vec![hop];
    let pool = SshPool::default();
    let attempts = (0..20).map(|_| {
        let (pool, target) = (pool.clone(), target.clone());
        tokio::spawn(async move { pool.open(&target).await })
    });
    for attempt in attempts.collect::<Vec<_>>() {
        let error = attempt.await.expect("no panic").expect_err("refused");
        assert!(matches!(error, SshError::Bastion { .. }), "{error}");
    }
    assert!(bastion.connections.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_host_that_the_bastion_cannot_reach_is_named() {
    let (_bastion, hop) = open_to_anyone().await;
    let mut target = SshTarget::new("w-1", "127.0.0.1", "ops");
    target.port = closed_port();
    target.proxy_jump = vec![hop];
    let error = SshConnection::open(&target).await.expect_err("refused");
    assert!(matches!(error, SshError::BastionRefused { .. }), "{error}");
}

#[tokio::test]
async fn ways_of_not_reaching_a_host_are_told_apart() {
    let mut target = SshTarget::new("cp-1", "127.0.0.1", "ops");
    target.port = closed_port();
    target.connect_timeout = Duration::from_millis(300);
    let error = SshConnection::open(&target).await.expect_err("closed");
    assert!(matches!(error, SshError::Refused { .. }), "{error}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    target.port = listener.local_addr().expect("bound").port();
    let began = Instant::now();
    let error = SshConnection::open(&target).await.expect_err("silent");
    assert!(
        matches!(
            error,
            SshError::TimedOut {
                stage: "key exchange",
                ..
            }
        ),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(3));

    // The first connection still sits in the queue, so the talker takes two; and
    // the port stays open until the end, so that nobody is refused.
    let talking = listener.try_clone().expect("a second handle");
    let talker = std::thread::spawn(move || {
        for stream in talking.incoming().take(2).flatten() {
            use std::io::Write;
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = SshConnection::open(&target).await.expect_err("not SSH");
    let is_expected = matches!(
        error,
        SshError::Handshake { .. } | SshError::TimedOut { .. }
    );
    assert!(is_expected, "{error}");
    let _ = talker.join();
    drop(listener);

    target.address = "no-such-host.invalid".into();
    target.connect_timeout = Duration::from_secs(5);
    let error = SshConnection::open(&target)
        .await
        .expect_err("unknown name");
    assert!(matches!(error, SshError::NameNotResolved { .. }), "{error}");
    assert!(error.is_unreachable());
}

fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
