//! `status`: nodes, versions, etcd, certificates, what is unhealthy and what to do.

use jiff::Timestamp;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{Etcd, HostName};
use slipway_engine::{Fleet, gather_facts};
use slipway_planner::{ClusterHealth, Seen};

use super::etcd;
use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show::StatusPage;

pub(crate) async fn run(args: ClusterArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::find(&args).await?;
    let hosts = cluster.chosen_hosts(&[])?;
    let mut fleet = cluster.connect(hosts, &args).await?;
    let facts = gather_facts(&mut fleet, &cluster.spec).await;
    let is_unreachable = !fleet.unreachable().is_empty();
    let self_signed = match &facts.cluster {
        Some(_) => self_signed_nodes(&fleet, facts.cluster_from.as_ref()).await,
        None => Vec::new(),
    };
    // Somebody else's etcd is not ours to judge; one whose members all are silent shows in
    // the API server, which does not answer either.
    let (etcd, etcd_silent) = match &cluster.spec.cluster_configuration.etcd {
        Etcd::Local(_) => match etcd::look(&fleet, &cluster).await {
            Ok((_, etcd)) => (Some(etcd), None),
            Err(error) => (None, Some(error.failure)),
        },
        Etcd::External(_) => (None, None),
    };
    fleet.close().await;
    let now = Timestamp::now();
    let seen = Seen {
        etcd: etcd.as_deref(),
        etcd_silent: etcd_silent.as_ref(),
        self_signed: &self_signed,
        now: now.as_second(),
    };
    let page = StatusPage {
        spec: &cluster.spec,
        facts: &facts,
        etcd: etcd.as_deref(),
        self_signed: &self_signed,
        health: ClusterHealth::of(&cluster.spec, &facts, seen),
        now,
    };
    page.print(output);
    Ok(match page.health.unhealthy.is_empty() {
        _ if is_unreachable => ExitCode::Unreachable,
        true => ExitCode::Done,
        false => ExitCode::Failed,
    })
}

/// Returns the nodes whose kubelets serve with certificates of their own making.
async fn self_signed_nodes(fleet: &Fleet, control_plane: Option<&HostName>) -> Vec<String> {
    let Some(host) = control_plane.and_then(|name| fleet.host(name)) else {
        return Vec::new();
    };
    match host.request(Request::FindSelfSigned, &|_| {}).await {
        Ok(Reply::SelfSigned { nodes }) => nodes,
        // What cannot be looked at is no state to report.
        Ok(_) | Err(_) => Vec::new(),
    }
}
