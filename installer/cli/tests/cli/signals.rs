//! Ctrl-C: first in good order, then at once.

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::cluster::{Cluster, end};

const STEP: &str = "stop and remove all pods";

fn process(child: &Child) -> Pid {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw).expect("it runs")
}

#[tokio::test]
async fn the_first_signal_finishes_the_step_under_way_and_the_same_command_goes_on() {
    for signal in [Signal::INT, Signal::TERM] {
        let cluster = Cluster::up().await;
        let worker = cluster.host("w-1");
        worker.hold(STEP);
        let run = cluster.start(&["reset", "--host", "w-1", "-y"]);
        let (pid, run) = (process(&run), tokio::spawn(end(run)));
        worker.is_reached().await;
        kill_process(pid, signal).expect("it is mine");
        // Only a process that has heard the signal may see the step end.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        worker.let_go();
        let ended = run.await.expect("it is waited for");
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("finishing the steps under way"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("reset interrupted"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("the same command again goes on"),
            "{}",
            ended.stderr
        );
        let done = worker.fake.applied_steps();
        assert_eq!(
            done.last().map(slipway_api::Step::describe).as_deref(),
            Some(STEP)
        );

        let ended = cluster.run(&["reset", "--host", "w-1", "-y"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("reset done"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn the_second_signal_leaves_at_once() {
    let cluster = Cluster::up().await;
    let worker = cluster.host("w-1");
    worker.hold(STEP);
    let mut run = cluster.start(&["reset", "--host", "w-1", "-y"]);
    let mut stdout = run.stdout.take().expect("piped");
    tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
    worker.is_reached().await;
    kill_process(process(&run), Signal::INT).expect("it is mine");
    let stderr = run.stderr.take().expect("piped");
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await.expect("text") {
        if line.contains("press Ctrl-C again") {
            break;
        }
    }
    kill_process(process(&run), Signal::INT).expect("it is mine");
    let status = run.wait().await.expect("it ends");
    assert_eq!(status.code(), Some(130));
    let mut rest = String::new();
    while let Some(line) = lines.next_line().await.expect("text") {
        rest.push_str(&line);
    }
    assert!(rest.contains("the same command again goes on"), "{rest}");
}
