//! `plan`: what differs between the file and the hosts.

use super::cluster_look::{ClusterLook, Intent};
use super::execution::exit_code_of_plan;
use crate::args::{Output, PlanArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show;

pub(crate) async fn run(args: PlanArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::load(&args.cluster).await?;
    let mut look = ClusterLook::new(Intent::Plan, &cluster, &args.source, &args.host, output);
    let mut fleet = look.connect(&args.cluster).await?;
    let survey = look.take(&mut fleet).await;
    fleet.close().await;
    let survey = survey?;
    show::plan_with_findings(&survey, &look.findings, output);
    Ok(exit_code_of_plan(&survey.plan))
}
