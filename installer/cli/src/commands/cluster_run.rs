//! `init`, `join` and `apply`: make hosts as the file says.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use slipway_api::{LeftOut, Outcome, Phase, Plan};
use slipway_engine::{Fleet, tidy};
use slipway_planner::{SkippedPhases, UnknownPhase};

use super::agreed_run::AgreedRun;
use super::cluster_look::{ClusterLook, Intent};
use super::execution::exit_code_of;
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
    let result = run_agreed(&mut fleet, look, &args, output).await;
    fleet.close().await;
    result
}

/// Asks about a plan, and names the hosts that lose everything by it.
fn question(plan: &Plan) -> String {
    let cleaned = plan
        .steps
        .iter()
        .filter(|step| step.phase == Phase::CleanupNode);
    let names: BTreeSet<&str> = cleaned.map(|step| step.host.as_str()).collect();
    let steps = plan.steps.len();
    match names.is_empty() {
        true => format!("Run these {steps} steps?"),
        false => {
            let names: Vec<&str> = names.into_iter().collect();
            format!(
                "Run these {steps} steps, and remove Kubernetes and its data from {}?",
                names.join(", ")
            )
        }
    }
}

async fn run_agreed(
    fleet: &mut Fleet,
    mut look: ClusterLook<'_>,
    args: &RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let cluster = look.cluster;
    let command = AgreedRun {
        command: look.intent.name(),
        cluster: &cluster.spec.name,
        first: &cluster.control_plane().name,
        run: new_run(),
        again: SameAgain::new(look.intent.again(), args.cluster.config.as_deref()),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let question = |plan: &Plan| question(plan);
    let taken = async |fleet: &mut Fleet| look.take(fleet).await;
    let survey = match command.agree(fleet, taken, question).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let state = command.run(fleet, &survey.plan, &*look.blobs()?).await?;
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
