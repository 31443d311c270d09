//! A way to one address beside several hosts, over OpenSSH's own server. Needs root and Debian's
//! openssh-server and sudo.

#[allow(dead_code, reason = "not all of the server is needed here")]
mod sshd;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use slipway_hosts::ssh::SshTarget;
use slipway_hosts::{Forward, ForwardChange, ForwardProbe};
use sshd::{Sshd, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What stands beside the hosts: says back whatever it hears.
struct Echo {
    address: SocketAddr,
    serves: Arc<AtomicBool>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.into_split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        Self {
            address,
            serves: Arc::new(AtomicBool::new(true)),
        }
    }

    fn probe(&self) -> ForwardProbe {
        let serves = Arc::clone(&self.serves);
        Arc::new(move |_stream| {
            let serves = serves.load(Ordering::SeqCst);
            Box::pin(async move { serves.then_some(()).ok_or_else(|| "it rests".to_owned()) })
        })
    }
}

/// A forward, its port here, and what it tells.
struct Running {
    forward: Arc<Forward>,
    address: SocketAddr,
    told: mpsc::UnboundedReceiver<ForwardChange>,
}

impl Running {
    async fn start(targets: Vec<SshTarget>, echo: &Echo) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let forward = Forward::start(targets, echo.address, echo.probe(), move |change| {
            let _ = sender.send(change);
        });
        let forward = Arc::new(forward);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let serving = Arc::clone(&forward);
        tokio::spawn(async move { serving.serve(listener).await });
        Self {
            forward,
            address,
            told,
        }
    }

    async fn next(&mut self) -> ForwardChange {
        let next = tokio::time::timeout(Duration::from_secs(60), self.told.recv()).await;
        next.expect("in time").expect("it runs")
    }

    /// Waits until new connections go through another host than `before`, which has failed by
    /// then. On a slow machine the other may not be there yet when it is needed.
    async fn leaves(&mut self, before: &str) -> String {
        let mut failed = Vec::new();
        loop {
            match self.next().await {
                ForwardChange::Through { host } if host != before => {
                    assert!(failed.iter().any(|it| it == before), "{failed:?}");
                    return host;
                }
                ForwardChange::Failed { host, .. } => failed.push(host),
                ForwardChange::Through { .. } | ForwardChange::Nowhere => {}
            }
        }
    }
}

/// Returns what says the word back.
async fn says_back(stream: &mut TcpStream, word: &str) -> bool {
    let mut heard = vec![0; word.len()];
    stream.write_all(word.as_bytes()).await.is_ok()
        && stream.read_exact(&mut heard).await.is_ok()
        && heard == word.as_bytes()
}

/// Succeeds once a new connection says a word back, as clients try again.
async fn goes_on(running: &Running) -> bool {
    for _ in 0..10 {
        if says_back(&mut connect(running).await, "after").await {
            return true;
        }
    }
    false
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.expect("loopback")
}

fn through(host: &str) -> ForwardChange {
    ForwardChange::Through {
        host: host.to_owned(),
    }
}

fn named(sshd: &Sshd, name: &str) -> SshTarget {
    let mut target = sshd.target("root");
    target.host_name = name.to_owned();
    target.connect_timeout = Duration::from_secs(3);
    target
}

/// Lets a server stop, or go on, with all its connections.
fn signal(sshd: &Sshd, signal: &str) {
    let mut pids = vec![sshd.pid()];
    let mut index = 0;
    while let Some(pid) = pids.get(index) {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        pids.extend(
            children
                .split_whitespace()
                .filter_map(|it| it.parse::<u32>().ok()),
        );
        index += 1;
    }
    for pid in pids {
        run("kill", &[signal, &pid.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_ends_its_connections_and_new_ones_go_through_another() {
    let (first, second) = (Sshd::start(&[]), Sshd::start(&[]));
    let echo = Echo::start().await;
    let targets = vec![named(&first, "cp-1"), named(&second, "cp-2")];
    let mut running = Running::start(targets, &echo).await;
    running.forward.ready().await.expect("one serves");
    let ForwardChange::Through { host } = running.next().await else {
        panic!("nothing went wrong yet");
    };
    let (killed, other) = match host.as_str() {
        "cp-1" => (&first, "cp-2"),
        _ => (&second, "cp-1"),
    };
    let mut open = connect(&running).await;
    assert!(says_back(&mut open, "before").await);
    signal(killed, "-9");
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = open.read_to_end(&mut rest).await;
    assert!(began.elapsed() < Duration::from_secs(30), "it ends");
    assert!(goes_on(&running).await);
    assert_eq!(running.leaves(&host).await, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_any_more_is_left_for_another() {
    let (first, second) = (Sshd::start(&[]), Sshd::start(&[]));
    let echo = Echo::start().await;
    let mut running = Running::start(vec![named(&first, "cp-1")], &echo).await;
    running.forward.ready().await.expect("it serves");
    assert_eq!(running.next().await, through("cp-1"));
    drop(running);

    let targets = vec![named(&first, "cp-1"), named(&second, "cp-2")];
    let mut running = Running::start(targets, &echo).await;
    running.forward.ready().await.expect("one serves");
    let ForwardChange::Through { host } = running.next().await else {
        panic!("nothing went wrong yet");
    };
    let (silent, other) = match host.as_str() {
        "cp-1" => (&first, "cp-2"),
        _ => (&second, "cp-1"),
    };
    // Until both are connected there is nowhere else to go.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut open = connect(&running).await;
    assert!(says_back(&mut open, "before").await);
    signal(silent, "-STOP");
    let began = Instant::now();
    assert!(goes_on(&running).await);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let mut rest = Vec::new();
    let cut = tokio::time::timeout(Duration::from_secs(60), open.read_to_end(&mut rest)).await;
    assert!(cut.is_ok(), "the connection through it ends");
    assert_eq!(running.leaves(&host).await, other);
    signal(silent, "-CONT");
    assert!(says_back(&mut connect(&running).await, "later").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_rests_is_waited_for() {
    let sshd = Sshd::start(&[]);
    let echo = Echo::start().await;
    echo.serves.store(false, Ordering::SeqCst);
    let mut running = Running::start(vec![named(&sshd, "cp-1")], &echo).await;
    let failures = running.forward.ready().await.expect_err("it rests");
    assert_eq!(failures, [("cp-1".to_owned(), "it rests".to_owned())]);
    assert!(matches!(running.next().await, ForwardChange::Failed { .. }));
    assert_eq!(running.next().await, ForwardChange::Nowhere);
    let mut early = connect(&running).await;
    echo.serves.store(true, Ordering::SeqCst);
    assert!(says_back(&mut early, "patience").await);
    assert_eq!(running.next().await, through("cp-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_where_nothing_listens_says_so() {
    let sshd = Sshd::start(&[]);
    let echo = Echo::start().await;
    let nowhere = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("bound")
    };
    let forward = Forward::start(vec![named(&sshd, "cp-1")], nowhere, echo.probe(), |_| ());
    let failures = forward.ready().await.expect_err("nothing listens");
    assert!(
        failures[0]
            .1
            .starts_with("the host does not connect to 127.0.0.1:"),
        "{failures:?}"
    );
}
