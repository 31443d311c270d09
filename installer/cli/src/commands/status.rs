//! `status`: nodes, versions, certificates, what is unhealthy.

use slipway_api::HostName;
use slipway_api::protocol::{Reply, Request};
use slipway_engine::{Fleet, gather_facts};

use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show;

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
    fleet.close().await;
    show::status(&cluster.spec, &facts, &self_signed, output);
    Ok(match &facts.cluster {
        _ if is_unreachable => ExitCode::Unreachable,
        Some(cluster)
            if cluster.unhealthy.is_empty() && cluster.nodes.iter().all(|node| node.ready) =>
        {
            ExitCode::Done
        }
        Some(_) | None => ExitCode::Failed,
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
