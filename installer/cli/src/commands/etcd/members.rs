//! `etcd members`: how each is.

use slipway_planner::etcd_troubles;

use super::{connect, look};
use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show;

pub(super) async fn run(args: ClusterArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::find(&args).await?;
    let fleet = connect(&cluster, &args).await?;
    let looked = look(&fleet, &cluster).await;
    let unreachable = fleet.unreachable();
    fleet.close().await;
    let (_, facts) = looked?;
    let troubles = etcd_troubles(&cluster.spec, &facts);
    show::etcd_members(&cluster.spec, &facts, &troubles, output);
    for host in &unreachable {
        noteln!("{} cannot be reached: {}", host.host, host.failure);
    }
    Ok(match troubles.is_empty() {
        _ if !unreachable.is_empty() => ExitCode::Unreachable,
        true => ExitCode::Done,
        false => ExitCode::Failed,
    })
}
