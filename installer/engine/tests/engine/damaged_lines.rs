//! Lines between workstation and agent that are damaged or nonsense: either end answers or ends.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use slipway_api::protocol::{
    AgentMessage, Channel, FromAgent, Hello, PROTOCOL, Reply, Request, ToAgent,
};
use slipway_api::{
    Check, EtcdSnapshotKept, Event, Facts, Failure, HostState, Outcome, RunId, SecretText,
    Sha256Digest,
};
use slipway_hosts::{Host, LocalHost};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::fakes::whole_plan;
use crate::support::{bare_facts, discovered, etcd_of_five, spec};

/// How long an end may take that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns what is asked of an agent here: nothing that changes the machine it runs on.
fn requests() -> Vec<Request> {
    let steps = whole_plan().steps.into_iter().take(6);
    let run = RunId::parse("damaged").expect("a name");
    let outcome = Outcome::Interrupted;
    vec![
        Request::GatherFacts,
        Request::GatherClusterFacts,
        Request::CheckSteps {
            steps: steps.map(|it| (it.id, it.step)).collect(),
        },
        Request::MissingBlobs {
            blobs: whole_plan()
                .steps
                .iter()
                .flat_map(|it| it.step.blobs())
                .take(9)
                .collect(),
        },
        Request::ReadAuthorities {
            names: vec!["ca".to_owned(), "etcd-ca".to_owned()],
        },
        Request::ReadStoredCluster,
        Request::ReadJournal { run: None },
        Request::ReadClock,
        Request::NoteRun {
            run,
            event: Box::new(Event::RunFinished { outcome }),
        },
        Request::Lock {
            holder: "ops@laptop/42/run".to_owned(),
        },
    ]
}

fn line(json: serde_json::Result<Vec<u8>>) -> Vec<u8> {
    let mut line = json.expect("it has only string keys");
    line.push(b'\n');
    line
}

/// The lines of a session as an agent hears them, the first of the channel included.
static ASKED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let numbered = (0..).zip(requests());
    let asked = numbered.map(|(id, request)| line(serde_json::to_vec(&ToAgent { id, request })));
    std::iter::once(line(serde_json::to_vec(&Channel::Control)))
        .chain(asked)
        .collect()
});

/// The lines that answer a first request: those of a real agent, and those that need a cluster.
static ANSWERED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a folder");
    let heard = block_on(serve(root.path(), &ASKED.concat()));
    let real = heard.lines().skip(1).map(|heard| {
        let mut answer: FromAgent = serde_json::from_str(heard).expect("an agent's line");
        answer.id = 0;
        line(serde_json::to_vec(&answer))
    });
    let made_up = replies().into_iter().map(|reply| {
        let message = AgentMessage::Reply(Box::new(reply));
        line(serde_json::to_vec(&FromAgent { id: 0, message }))
    });
    real.chain(made_up).collect()
});

fn replies() -> Vec<Reply> {
    let facts: Facts = bare_facts(&spec());
    let mut replies: Vec<Reply> = facts
        .hosts
        .into_values()
        .filter_map(|state| match state {
            HostState::Reached(facts) => Some(Reply::Facts(facts)),
            HostState::Unreached { .. } => None,
        })
        .collect();
    let because = "it is not there".to_owned();
    let checks = whole_plan().steps.into_iter().take(9);
    replies.extend([
        Reply::ClusterFacts {
            facts: Some(crate::removals::seen().cluster.expect("there is one")),
        },
        Reply::EtcdFacts(Box::new(etcd_of_five(&[(1, 6000), (2, 6007)]))),
        Reply::SnapshotKept(EtcdSnapshotKept {
            path: "/var/lib/slipway/snapshots/harbour.db".to_owned(),
            revision: 4200,
            size: 20_512,
            database_sha256: Sha256Digest::of("database"),
            sha256: Sha256Digest::of("snapshot"),
            deleted: Vec::new(),
        }),
        Reply::Checks {
            checks: checks
                .map(|it| {
                    (
                        it.id,
                        Check::Needed {
                            because: because.clone(),
                        },
                    )
                })
                .collect(),
        },
        Reply::MissingBlobs {
            missing: vec![Sha256Digest::of("kubelet"), Sha256Digest::of("runc")],
        },
        Reply::Authorities {
            files: [("ca.key".to_owned(), SecretText::new("a key"))].into(),
        },
        Reply::Discovered(Box::new(discovered())),
        Reply::JoinTarget {
            endpoint: "192.0.2.11:6443".to_owned(),
            ca_pins: vec!["sha256:aa".to_owned()],
            is_balanced: true,
        },
        Reply::EtcdPorts {
            unreached: vec![(2380, "the connection is refused".to_owned())],
        },
    ]);
    replies
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Returns what an agent says to someone who says `bytes` and nothing more, after it has ended.
async fn serve(root: &Path, bytes: &[u8]) -> String {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(theirs);
    let serving = tokio::spawn(slipway_agent::serve(reader, writer, root.to_owned()));
    let (mut reader, mut writer) = tokio::io::split(ours);
    let saying = async {
        // An agent that has had enough does not hear the rest.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    let mut heard = String::new();
    let hearing = reader.read_to_string(&mut heard);
    let both = async { tokio::join!(saying, hearing) };
    let ((), heard_all) = timeout(PATIENCE, both).await.expect("the agent hangs");
    heard_all.expect("the agent speaks UTF-8");
    let ended = timeout(PATIENCE, serving).await.expect("the agent hangs");
    // Whether it ends well or with an error, it does not panic.
    let _ = ended.expect("the agent panicked");
    heard
}

/// An agent that answers the first request with these bytes and ends.
async fn answer_with(
    bytes: Vec<u8>,
    reader: ReadHalf<DuplexStream>,
    mut writer: WriteHalf<DuplexStream>,
) -> std::io::Result<()> {
    let version = "0".to_owned();
    let hello = line(serde_json::to_vec(&Hello {
        version,
        protocol: PROTOCOL,
    }));
    writer.write_all(&hello).await?;
    let mut lines = BufReader::new(reader).lines();
    for _ in 0..2 {
        lines.next_line().await?;
    }
    writer.write_all(&bytes).await
}

/// Cuts a piece out of a line and puts another there.
fn damage(line: &[u8], at: prop::sample::Index, length: usize, insert: &[u8]) -> Vec<u8> {
    let at = at.index(line.len());
    let end = (at + length).min(line.len());
    [&line[..at], insert, &line[end..]].concat()
}

/// Bytes as noise makes them, and such as a parser stumbles over.
fn insert() -> impl Strategy<Value = Vec<u8>> {
    let telling = [
        "",
        "\n",
        "\0",
        "null",
        "-1",
        "1e999",
        "18446744073709551616",
        "[]",
        "{}",
        "\"\"",
        "\\ud800",
        "\"id\":0,",
        "\"reply\":\"done\",",
        "[[[[[[[[",
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        prop::sample::select(telling.map(|text| text.as_bytes().to_vec()).to_vec()),
    ]
}

#[test]
fn an_agent_answers_every_whole_line_of_a_session() {
    let root = tempfile::tempdir().unwrap();
    let heard = block_on(serve(root.path(), &ASKED.concat()));
    let mut answered: Vec<u64> = heard
        .lines()
        .skip(1)
        .map(|heard| serde_json::from_str::<FromAgent>(heard).unwrap())
        .filter(|answer| !matches!(answer.message, AgentMessage::Event(_)))
        .map(|answer| answer.id)
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..requests().len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_agent_ends_where_the_first_line_names_no_channel() {
    let root = tempfile::tempdir().unwrap();
    for first in [
        &b""[..],
        b"\n",
        b"\0\n",
        b"\xff\xfe\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"{}\n",
        b"{\"channel\":\"control\"",
        b"{\"channel\":\"none\"}\n",
        b"{\"channel\":\"blob\",\"sha256\":\"zz\",\"size\":1}\n",
        b"{\"channel\":\"blob\",\"sha256\":\"17bc7566bc2bf9062da7d054811ba28f76e31d264f38422daf081194b4698cec\",\"size\":18446744073709551615}\nx",
    ] {
        let heard = block_on(serve(root.path(), first));
        let hello = heard.lines().next().expect("it says hello");
        assert!(serde_json::from_str::<Hello>(hello).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_agent_answers_or_ends_whatever_it_hears(
        damaged in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..60,
        insert in insert(),
    ) {
        let mut lines = ASKED.clone();
        let damaged = damaged.index(lines.len());
        lines[damaged] = damage(&lines[damaged], at, length, &insert);
        let root = tempfile::tempdir().unwrap();
        let heard = block_on(serve(root.path(), &lines.concat()));
        for heard in heard.lines().skip(1) {
            prop_assert!(serde_json::from_str::<FromAgent>(heard).is_ok(), "{}", heard);
        }
    }

    #[test]
    fn an_agent_ends_at_any_noise(noise in prop::collection::vec(any::<u8>(), 0..400), greets in any::<bool>()) {
        let greeting = if greets { line(serde_json::to_vec(&Channel::Control)) } else { Vec::new() };
        let root = tempfile::tempdir().unwrap();
        let heard = block_on(serve(root.path(), &[greeting, noise].concat()));
        prop_assert_eq!(heard.lines().count(), 1);
    }

    #[test]
    fn a_damaged_reply_is_a_reply_or_an_error(
        answer in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..60,
        insert in insert(),
    ) {
        let damaged = damage(&ANSWERED[answer.index(ANSWERED.len())], at, length, &insert);
        if let Ok(read) = serde_json::from_slice::<FromAgent>(&damaged) {
            prop_assert_eq!(serde_json::from_slice::<FromAgent>(&line(serde_json::to_vec(&read))).unwrap(), read);
        }
        let shown = block_on(async {
            let agent = move |reader, writer| answer_with(damaged.clone(), reader, writer);
            let host = LocalHost::start("cp-1".parse().unwrap(), agent).await.unwrap();
            let asked = host.request(Request::GatherFacts, &|_| {});
            let reply = timeout(PATIENCE, asked).await.expect("the workstation hangs");
            reply.map_or_else(|error| error.to_failure(), |reply| Failure::because(format!("{reply:?}")))
        });
        prop_assert!(!shown.message.contains("a key"), "{}", shown);
    }
}
