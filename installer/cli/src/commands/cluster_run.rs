//! `init`, `join` and `apply`: make hosts as the file says.

use slipway_api::{LeftOut, Outcome, Plan};
use slipway_engine::{Fleet, tidy};
use slipway_planner::{SkippedPhases, UnknownPhase};

use super::agreement::Agreement;
use super::cluster_look::{ClusterLook, Intent};
use super::execution::{Execution, exit_code_of, exit_code_of_plan};
use crate::args::{Output, RunArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::session::new_run;
use crate::show::{self, SameAgain};

pub(crate) async fn run(
    intent: Intent,
    args: RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let skipped = skipped_phases(&args)?;
    let cluster = Cluster::load(&args.cluster).await?;
    run_on(intent, cluster, skipped, args, output).await
}

/// Returns the phases that are left out.
pub(crate) fn skipped_phases(args: &RunArgs) -> Result<SkippedPhases, CliError> {
    SkippedPhases::parse(&args.skip_phases)
        .map_err(|error| CliError::bad_input(error.to_string(), UnknownPhase::help()))
}

/// Runs the command on a cluster that is known already.
pub(crate) async fn run_on(
    intent: Intent,
    mut cluster: Cluster,
    skipped: SkippedPhases,
    args: RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let ignored = args.ignore_preflight_errors.iter().cloned();
    cluster.spec.ignore_preflight_errors.extend(ignored);
    let mut look = ClusterLook::new(intent, &cluster, &args.source, &args.host, output);
    look.skipped = skipped;
    let mut fleet = look.connect(&args.cluster).await?;
    let result = if args.dry_run {
        show_plan(&mut fleet, look, output).await
    } else {
        run_agreed(&mut fleet, look, &args, output).await
    };
    fleet.close().await;
    result
}

async fn show_plan(
    fleet: &mut Fleet,
    mut look: ClusterLook<'_>,
    output: Output,
) -> Result<ExitCode, CliError> {
    let survey = look.take(fleet).await?;
    show::plan(&survey, output);
    Ok(exit_code_of_plan(&survey.plan))
}

async fn run_agreed(
    fleet: &mut Fleet,
    mut look: ClusterLook<'_>,
    args: &RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let cluster = look.cluster;
    let run = new_run();
    let again = SameAgain::new(look.intent.again(), args.cluster.config.as_deref());
    let agreement = Agreement {
        first: &cluster.control_plane().name,
        run: &run,
        yes: args.yes,
        output,
    };
    let question = |plan: &Plan| format!("Run these {} steps?", plan.steps.len());
    let taken = async |fleet: &mut Fleet| look.take(fleet).await;
    let survey = agreement.reach(fleet, taken, question).await?;
    if survey.plan.is_empty() {
        show::nothing_to_do(&survey, output);
        show::left_out(&survey.plan.left_out, &again, output);
        return Ok(exit_code_of_plan(&survey.plan));
    }
    let execution = Execution {
        command: look.intent.name(),
        cluster: &cluster.spec.name,
        run,
        again: &again,
        output,
    };
    let state = execution.run(fleet, &survey.plan, &*look.blobs()?).await?;
    // A plan without some phases does not name all blobs that are needed.
    if state.outcome == Some(Outcome::Succeeded) && args.skip_phases.is_empty() {
        for LeftOut { failure, .. } in tidy(fleet, &survey, &cluster.spec.kubernetes_version).await
        {
            noteln!("warning: old blobs stay: {failure}");
        }
    }
    if state.outcome == Some(Outcome::Succeeded) && output == Output::Text {
        show::next_steps(cluster, &args.cluster);
    }
    Ok(exit_code_of(&state))
}
