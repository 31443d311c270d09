//! `etcd`: its members, snapshots, restores and space.

mod authorities;
mod defrag;
mod members;
mod recover;
mod restore;
mod snapshot;
mod to_host;

use std::sync::Arc;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Etcd, EtcdFacts, Failure, HostSpec, Role};
use slipway_engine::{EngineError, Fleet};
use slipway_hosts::Host;

use crate::args::{ClusterArgs, EtcdCommand, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::this_machine::unexpected;

pub(crate) async fn run(command: EtcdCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        EtcdCommand::Members(args) => members::run(args, output).await,
        EtcdCommand::Snapshot(args) => snapshot::run(args, output).await,
        EtcdCommand::OpenAuthorities(args) => authorities::open(&args, output),
        EtcdCommand::Defrag(args) => defrag::run(args, output).await,
        EtcdCommand::Restore(args) => restore::run(args, output).await,
        EtcdCommand::Recover(args) => recover::run(args, output).await,
    }
}

/// Connects to the control-plane hosts that may be touched.
///
/// # Errors
/// Somebody else runs the cluster's etcd.
async fn connect(cluster: &Cluster, args: &ClusterArgs) -> Result<Fleet, CliError> {
    require_own_etcd(cluster)?;
    let hosts: Vec<&HostSpec> = match &cluster.here {
        Some(here) => cluster.spec.host(&here.name).into_iter().collect(),
        None => cluster.spec.hosts_with_role(Role::ControlPlane).collect(),
    };
    cluster.connect(hosts, args).await
}

/// Refuses a cluster whose etcd somebody else runs.
///
/// # Errors
/// It is such a cluster.
fn require_own_etcd(cluster: &Cluster) -> Result<(), CliError> {
    if let Etcd::External(etcd) = &cluster.spec.cluster_configuration.etcd {
        return Err(CliError::bad_input(
            format!(
                "the cluster {} uses an etcd that somebody else runs: {}",
                cluster.spec.name,
                etcd.endpoints.join(", ")
            ),
            "look after it with the tools that it was made with",
        ));
    }
    Ok(())
}

/// Returns how etcd's members are, and the host that answered: the first in the
/// file whose own member answers.
///
/// # Errors
/// No control-plane host can be reached, or no member answers there.
pub(super) async fn look(
    fleet: &Fleet,
    cluster: &Cluster,
) -> Result<(Arc<dyn Host>, Box<EtcdFacts>), CliError> {
    look_at(fleet, cluster.spec.hosts_with_role(Role::ControlPlane)).await
}

/// Returns how etcd's members are, as the first of these hosts whose own member
/// answers sees it, and that host.
///
/// # Errors
/// None of them can be reached, or no member answers there.
pub(super) async fn look_at<'a>(
    fleet: &Fleet,
    hosts: impl Iterator<Item = &'a HostSpec>,
) -> Result<(Arc<dyn Host>, Box<EtcdFacts>), CliError> {
    let mut failures: Vec<Failure> = Vec::new();
    for host in hosts.filter_map(|host| fleet.host(&host.name)) {
        match host.request(Request::GatherEtcdFacts, &|_| {}).await {
            Ok(Reply::EtcdFacts(facts)) => return Ok((Arc::clone(host), facts)),
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => failures.push(error.to_failure()),
        }
    }
    let Some(first) = failures.first().cloned() else {
        return Err(EngineError::Unreachable(fleet.unreachable()).into());
    };
    let messages: Vec<String> = failures.iter().map(ToString::to_string).collect();
    Err(CliError {
        code: ExitCode::Failed,
        failure: Failure {
            message: messages.join("\n       "),
            causes: Vec::new(),
            ..first
        },
    })
}
