//! `status`: nodes, versions, certificates, what is unhealthy.

use slipway_engine::gather_facts;

use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{connect, load_spec};
use crate::show;

pub(crate) async fn run(args: ClusterArgs, output: Output) -> Result<ExitCode, CliError> {
    let spec = load_spec(args.config.as_deref())?;
    let mut fleet = connect(&spec, &spec.hosts, &args).await;
    let facts = gather_facts(&mut fleet, &spec).await;
    let is_unreachable = !fleet.unreachable().is_empty();
    fleet.close().await;
    show::status(&spec, &facts, output);
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
