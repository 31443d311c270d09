//! `status`: nodes, versions, certificates, what is unhealthy.

use slipway_engine::gather_facts;

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
    fleet.close().await;
    show::status(&cluster.spec, &facts, output);
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
