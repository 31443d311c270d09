//! How a run ended, and what to type next.

use std::path::Path;

use slipway_api::{ClusterSpec, HostName, Outcome, Progress, RunState};

use crate::args::ClusterArgs;
use crate::cluster::Cluster;

/// Prints on stderr how a run ended.
pub(crate) fn outcome(state: &RunState, journal: &Path) {
    for (summary, failure) in state.failures() {
        noteln!("\nerror: {}: {}", summary.host, summary.description);
        noteln!("  {}", failure.message);
        failure
            .causes
            .iter()
            .for_each(|cause| noteln!("  caused by: {cause}"));
        failure
            .log_tail
            .iter()
            .for_each(|line| noteln!("  | {line}"));
        if let Some(help) = &failure.help {
            noteln!("  help: {help}");
        }
    }
    let seconds = match (state.started_at, state.finished_at) {
        (Some(start), Some(end)) => (end.as_millisecond() - start.as_millisecond()) as f64 / 1000.0,
        _ => 0.0,
    };
    let waiting = state
        .steps
        .iter()
        .filter(|step| step.progress == Progress::Waiting)
        .count();
    let how = match state.outcome {
        Some(Outcome::Succeeded) => "done",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Interrupted) => "interrupted",
        None => "cut off",
    };
    noteln!(
        "\n{} {how}: {} of {} steps in {seconds:.1} s",
        state.command,
        state.done(),
        state.steps.len()
    );
    if waiting > 0 {
        noteln!("{waiting} steps were not begun; the same command again goes on from here");
    }
    noteln!("journal: {}", journal.display());
}

/// Prints on stdout what to do with a new cluster.
pub(crate) fn next_steps(cluster: &Cluster, args: &ClusterArgs) {
    let spec = &cluster.spec;
    outln!(
        "\nCluster {} runs Kubernetes {}. What to do next:",
        spec.name,
        spec.kubernetes_version
    );
    outln!("  {}", cluster.command("status", args));
    outln!(
        "  {} --out {}.kubeconfig",
        cluster.command("kubeconfig", args),
        spec.name
    );
    if cluster.here.is_some() {
        outln!("  slipway token create --print-join-command");
    }
}

/// Prints on stdout what became of a machine that joined by itself.
pub(crate) fn joined(spec: &ClusterSpec, node: &HostName) {
    outln!(
        "\nThis machine is the node {node} of the cluster {}.",
        spec.name
    );
    outln!("Its kubelet serves with a certificate of its own making until the next");
    outln!("`slipway apply` with it in the cluster file. On a control-plane node:");
    outln!("  slipway status");
}
