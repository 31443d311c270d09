//! `init`, `join` and `apply`: make hosts as the file says.

use slipway_api::{Outcome, Plan};
use slipway_engine::Fleet;

use super::agreement::Agreement;
use super::cluster_look::{ClusterLook, Intent};
use super::execution::{Execution, exit_code_of, exit_code_of_plan};
use crate::args::{Output, RunArgs};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{load_spec, new_run};
use crate::show::{self, SameAgain};

pub(crate) async fn run(
    intent: Intent,
    args: RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let mut spec = load_spec(args.cluster.config.as_deref())?;
    spec.ignore_preflight_errors
        .extend(args.ignore_preflight_errors.iter().cloned());
    let look = ClusterLook::new(intent, &spec, &args.source, &args.host, output);
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
    let spec = look.spec;
    let run = new_run();
    let again = SameAgain::new(look.intent.again(), args.cluster.config.as_deref());
    let agreement = Agreement {
        spec,
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
        cluster: &spec.name,
        run,
        again: &again,
        output,
    };
    let state = execution.run(fleet, &survey.plan, &*look.blobs()?).await?;
    if state.outcome == Some(Outcome::Succeeded) && output == Output::Text {
        show::next_steps(spec, again.file());
    }
    Ok(exit_code_of(&state))
}
