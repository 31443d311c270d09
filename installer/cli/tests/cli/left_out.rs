//! Hosts that are down, refuse or die: the others go on, and the end says so.

use slipway_api::Step;

use crate::cluster::{Cluster, end};
use crate::ssh_host::SshHost;

fn applied(host: &SshHost) -> Vec<String> {
    host.fake
        .applied_steps()
        .iter()
        .map(Step::describe)
        .collect()
}

/// Returns whether a host does not count as the cluster's any more.
fn is_cleaned(host: &SshHost) -> bool {
    applied(host).contains(&"delete /var/lib/slipway/cluster".to_owned())
}

#[tokio::test]
async fn a_dead_worker_is_taken_out_of_the_cluster_and_its_wiping_is_left_out() {
    let mut cluster = Cluster::up().await;
    cluster.take_down("w-1");
    let ended = cluster.run(&["reset", "--host", "w-1", "-y"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let steps = ["cordon and drain node w-1", "delete node w-1"];
    assert_eq!(applied(cluster.host("cp-1")), steps);
    assert!(ended.stdout.contains("left out: w-1"), "{}", ended.stdout);
    let again = format!("slipway reset -f {} --host w-1", cluster.file().display());
    assert!(ended.stderr.contains(&again), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("refuses connections"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("reset done: 2 of 2 steps"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_worker_with_a_changed_key_does_not_hold_up_the_end_of_the_cluster() {
    let cluster = Cluster::up().await;
    cluster.change_key("w-1");
    let ended = cluster.run(&["reset", "--all", "-y"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(applied(cluster.host("w-1")).is_empty());
    for name in ["w-2", "cp-1"] {
        assert!(is_cleaned(cluster.host(name)), "{name}");
    }
    assert!(ended.stderr.contains("host key"), "{}", ended.stderr);
}

#[tokio::test]
async fn without_the_control_plane_host_nothing_is_done() {
    let mut cluster = Cluster::up().await;
    cluster.take_down("cp-1");
    let ended = cluster.run(&["reset", "--host", "w-1", "-y"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(applied(cluster.host("w-1")).is_empty());
    assert!(ended.stderr.contains("cp-1: 127.0.0.1"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_worker_that_dies_in_the_middle_of_a_step_is_named_and_the_same_command_goes_on() {
    let mut cluster = Cluster::up().await;
    let worker = cluster.host("w-1");
    worker.hold("stop and remove all pods");
    let run = tokio::spawn(end(cluster.start(&["reset", "--all", "-y"])));
    worker.is_reached().await;
    cluster.take_down("w-1");
    let ended = run.await.expect("it is waited for");
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let told = &ended.stderr;
    assert!(
        told.contains("error: w-1: stop and remove all pods"),
        "{told}"
    );
    assert!(
        told.contains("the connection to the agent was lost"),
        "{told}"
    );
    assert!(
        told.contains("run the same command again to go on"),
        "{told}"
    );
    assert!(is_cleaned(cluster.host("w-2")), "the other worker is done");
    // The control plane waits for all workers, so it is not touched.
    assert!(applied(cluster.host("cp-1")).is_empty());
}
