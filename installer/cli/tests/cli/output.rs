//! What is printed: valid JSON, no control characters, and nothing where nobody reads.

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Failure, Step};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::cluster::{Cluster, Ended, end, facts_of, slipway};

/// What a hostile host would like to show.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}no\r\u{9b}31m \u{202e}thing";

#[tokio::test]
async fn a_closed_pipe_ends_an_answer_quietly() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["config", "print"][..],
        &["completion", "bash"],
        &["version"],
    ] {
        let mut child = slipway(folder.path()).args(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let Ended { code, stderr, .. } = end(child).await;
        assert_eq!(code, Some(141), "{arguments:?}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn a_closed_pipe_ends_a_run_after_the_steps_under_way() {
    let cluster = Cluster::up().await;
    let worker = cluster.host("w-1");
    worker.hold("stop and remove all pods");
    let mut run = cluster.start(&["reset", "--host", "w-1", "-y", "-o", "json"]);
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.contains("run-started"), "{first}");
    worker.is_reached().await;
    drop(lines);
    worker.let_go();
    let Ended { code, stderr, .. } = end(run).await;
    assert_eq!((code, stderr.as_str()), (Some(141), ""));
    let steps = worker.fake.applied_steps();
    let last = steps.last().map(Step::describe);
    assert_eq!(last.as_deref(), Some("stop and remove all pods"));
}

#[tokio::test]
async fn what_hosts_say_reaches_the_terminal_without_control_characters() {
    let cluster = Cluster::up_with(|name, request| {
        let is_step = matches!(request, Request::RunStep { .. });
        if name == "w-2" && *request == Request::GatherFacts {
            let failure = Failure::because(HOSTILE).with_help(HOSTILE);
            return Some(Err(failure));
        }
        (name == "w-1" && is_step).then(|| {
            let mut failure = Failure::because(HOSTILE);
            failure.log_tail = vec![HOSTILE.to_owned()];
            failure.causes = vec![HOSTILE.to_owned()];
            Err(failure)
        })
    })
    .await;
    for arguments in [&["preflight"][..], &["status"], &["reset", "--all", "-y"]] {
        let Ended { stdout, stderr, .. } = cluster.run(arguments).await;
        for text in [&stdout, &stderr] {
            let is_harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(is_harmful), "{arguments:?}: {text:?}");
        }
        let shown = format!("{stdout}{stderr}");
        assert!(shown.contains("no thing"), "{arguments:?}: {shown}");
    }
    let Ended { stdout, .. } = cluster.run(&["status", "-o", "json"]).await;
    assert!(
        !stdout.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
        "{stdout}"
    );
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let said = &document["facts"]["hosts"]["w-2"]["failure"]["message"];
    assert_eq!(said, &format!("w-2: {HOSTILE}"), "JSON keeps what was said");
}

fn is_json(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_ok()
}

#[tokio::test]
async fn preflight_that_mends_prints_one_stream_of_json_lines() {
    let cluster = Cluster::up().await;
    let ended = cluster.run(&["preflight", "--fix", "-o", "json"]).await;
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines.len() > 10, "{}", ended.stdout);
    assert!(lines.iter().all(|line| is_json(line)), "{}", ended.stdout);
    assert!(lines[0].contains("run-started"));
    assert!(
        lines.last().unwrap().starts_with(r#"{"findings":["#),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_plan_shows_what_preflight_finds_though_the_bundle_is_missing() {
    let cluster = Cluster::up_with(|name, request| {
        (*request == Request::GatherFacts && name == "w-1").then(|| {
            let mut facts = facts_of(name);
            facts.is_root = false;
            Ok(Reply::Facts(Box::new(facts)))
        })
    })
    .await;
    let ended = cluster.run(&["plan", "--bundle", "/nowhere"]).await;
    assert!(
        ended.stderr.contains("[IsPrivilegedUser]"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("/nowhere"), "{}", ended.stderr);
    let ended = cluster.run(&["apply", "--bundle", "/nowhere", "-y"]).await;
    assert_eq!(ended.code, Some(3), "preflight stops it: {}", ended.stderr);
}

#[tokio::test]
async fn whoever_reads_only_the_beginning_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = slipway(folder.path());
    let mut child = child.args(["completion", "bash"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut start = [0; 64];
    stdout.read_exact(&mut start).await.unwrap();
    assert!(start.starts_with(b"_slipway()"), "{start:?}");
}
