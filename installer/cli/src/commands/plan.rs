//! `plan`: what differs between the file and the hosts.

use super::cluster_run::{Intent, prepare};
use crate::args::{Output, PlanArgs};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::load_spec;
use crate::show;

pub(crate) async fn run(args: PlanArgs, output: Output) -> Result<ExitCode, CliError> {
    let spec = load_spec(args.cluster.config.as_deref())?;
    let prepared = prepare(Intent::Apply, spec, &args.cluster, &args.source, &args.host).await?;
    prepared.fleet.close().await;
    show::plan(&prepared.plan, prepared.satisfied, output);
    Ok(if prepared.plan.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Pending
    })
}
