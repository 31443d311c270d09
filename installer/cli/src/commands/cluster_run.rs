//! `init`, `join` and `apply`: make hosts as the file says.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use slipway_api::{
    Architecture, ClusterSpec, Facts, HostName, Outcome, Plan, Role, RunId, RunState, Severity,
};
use slipway_bundle::BlobStore;
use slipway_engine::{Fleet, RunJournal, RunRequest, gather_facts, pending_plan, run_plan};
use slipway_planner::{Scope, plan_cluster, preflight};

use crate::args::{ClusterArgs, Output, RunArgs, SourceArgs};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{self, chosen_hosts, journal_folder, load_spec, lock_holder, open_blobs};
use crate::show::{self, RunView};

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// All hosts, nothing there yet.
    Init,
    /// Hosts that are not nodes yet.
    Join,
    /// Whatever differs.
    Apply,
}

impl Intent {
    fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Join => "join",
            Self::Apply => "apply",
        }
    }
}

/// A plan that is ready to run.
pub(crate) struct Prepared {
    pub spec: ClusterSpec,
    pub fleet: Fleet,
    pub facts: Facts,
    pub blobs: Arc<dyn BlobStore>,
    pub scope: Scope,
    /// What is left to do.
    pub plan: Plan,
    /// What was looked at but is fine already.
    pub satisfied: usize,
}

pub(crate) async fn run(
    intent: Intent,
    args: RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let mut spec = load_spec(args.cluster.config.as_deref())?;
    spec.ignore_preflight_errors
        .extend(args.ignore_preflight_errors.iter().cloned());
    let prepared = prepare(intent, spec, &args.cluster, &args.source, &args.host).await?;
    let result = run_prepared(intent, &prepared, &args, output).await;
    prepared.fleet.close().await;
    result
}

async fn run_prepared(
    intent: Intent,
    prepared: &Prepared,
    args: &RunArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let findings = preflight::check(&prepared.spec, &prepared.facts, &prepared.scope);
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    if errors > 0 {
        show::findings(&findings, output);
        let message = format!(
            "{errors} preflight {} against it",
            if errors == 1 {
                "check speaks"
            } else {
                "checks speak"
            }
        );
        let mut error = CliError::bad_input(
            message,
            "mend what is named above; `--ignore-preflight-errors ID` goes on in spite of a check",
        );
        error.code = ExitCode::Preflight;
        return Err(error);
    }
    if output == Output::Text {
        show::warnings(&findings);
    }
    if prepared.plan.is_empty() {
        show::nothing_to_do(prepared.satisfied, output);
        return Ok(ExitCode::Done);
    }
    if output == Output::Text || args.dry_run {
        show::plan(&prepared.plan, prepared.satisfied, output);
    }
    if args.dry_run {
        return Ok(ExitCode::Pending);
    }
    if !args.yes {
        confirm(&format!("Run these {} steps?", prepared.plan.steps.len()))?;
    }
    let state = execute(
        intent.name(),
        &prepared.spec,
        &prepared.fleet,
        &prepared.plan,
        &*prepared.blobs,
        output,
    )
    .await?;
    let code = exit_code_of(&state);
    if code == ExitCode::Done && output == Output::Text {
        let file = args
            .cluster
            .config
            .as_deref()
            .unwrap_or(std::path::Path::new("cluster.yaml"));
        show::next_steps(&prepared.spec, file);
    }
    Ok(code)
}

/// Connects, gathers facts, plans, and asks the hosts what is left to do.
pub(crate) async fn prepare(
    intent: Intent,
    spec: ClusterSpec,
    cluster: &ClusterArgs,
    source: &SourceArgs,
    names: &[HostName],
) -> Result<Prepared, CliError> {
    let mut hosts = chosen_hosts(&spec, names)?;
    let first = spec.first_control_plane();
    // The control plane signs certificates and answers for the cluster.
    if !hosts.iter().any(|host| host.name == first.name) {
        hosts.push(first);
    }
    let fleet = session::connect(&spec, hosts.iter().copied(), cluster).await;
    let facts = gather_facts(&fleet, &spec).await;
    let unreachable = fleet.unreachable();
    if !unreachable.is_empty() {
        fleet.close().await;
        return Err(slipway_engine::EngineError::Unreachable(unreachable).into());
    }
    let scope = scope_of(intent, &spec, &facts, names)?;
    let architectures: BTreeSet<Architecture> = hosts
        .iter()
        .filter_map(|host| Some(facts.host(&host.name)?.architecture))
        .collect();
    let blobs = open_blobs(&spec, source, architectures.into_iter().collect()).await?;
    let desired = plan_cluster(&spec, &facts, blobs.manifest(), &scope)
        .map_err(|error| CliError::from(slipway_engine::EngineError::from(error)))?;
    let total = desired.steps.len();
    let plan = pending_plan(&fleet, desired).await?;
    let satisfied = total - plan.steps.len();
    Ok(Prepared {
        spec,
        fleet,
        facts,
        blobs,
        scope,
        plan,
        satisfied,
    })
}

fn scope_of(
    intent: Intent,
    spec: &ClusterSpec,
    facts: &Facts,
    names: &[HostName],
) -> Result<Scope, CliError> {
    let named: BTreeSet<HostName> = names.iter().cloned().collect();
    match intent {
        Intent::Init | Intent::Apply if named.is_empty() => Ok(Scope::All),
        Intent::Init | Intent::Apply => Ok(Scope::Hosts(named)),
        Intent::Join => {
            if facts.cluster.is_none() {
                return Err(CliError::bad_input(
                    "there is no cluster to join yet: its API server does not answer",
                    "bring it up first: `slipway init -f cluster.yaml`",
                ));
            }
            // Nodes that are complete drop out by themselves: their steps are satisfied.
            let new = spec
                .hosts_with_role(Role::Worker)
                .filter(|host| named.is_empty() || named.contains(&host.name));
            Ok(Scope::Hosts(new.map(|host| host.name.clone()).collect()))
        }
    }
}

/// Runs a plan under the hosts' locks, journalled and shown as it happens.
pub(crate) async fn execute(
    command: &str,
    spec: &ClusterSpec,
    fleet: &Fleet,
    plan: &Plan,
    blobs: &dyn BlobStore,
    output: Output,
) -> Result<RunState, CliError> {
    let nonce = std::process::id();
    let run = RunId::new(Timestamp::now(), nonce);
    fleet.lock(&lock_holder(run.as_str())).await?;
    let mut journal = RunJournal::create(&journal_folder(), &spec.name, &run)?;
    let (stop_sender, stop) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let mut is_asked = false;
        while tokio::signal::ctrl_c().await.is_ok() {
            // After the run nobody listens: then, and the second time, it ends at once.
            if is_asked || stop_sender.send(true).is_err() {
                std::process::exit(130);
            }
            is_asked = true;
            eprintln!("\nfinishing the steps under way; press Ctrl-C again to leave at once");
        }
    });
    let mut view = RunView::new(output);
    let mut journal_failure = None;
    let request = RunRequest {
        run,
        command: command.to_owned(),
        plan,
        blobs,
        stop,
    };
    let result = run_plan(fleet, request, &mut |entry| {
        if let Err(error) = journal.append(entry) {
            journal_failure.get_or_insert(error);
        }
        view.show(entry);
    })
    .await;
    view.finish();
    let state = result?;
    if let Some(error) = journal_failure {
        eprintln!("warning: {error}; the hosts' own journals are whole");
    }
    if output == Output::Text {
        show::outcome(&state, journal.path());
    }
    Ok(state)
}

/// Returns how a run's end is told to scripts.
pub(crate) fn exit_code_of(state: &RunState) -> ExitCode {
    match state.outcome {
        Some(Outcome::Succeeded) => ExitCode::Done,
        Some(Outcome::Failed | Outcome::Interrupted) | None => ExitCode::Failed,
    }
}

/// Asks a question on the terminal.
///
/// # Errors
/// The answer is no, or nobody can be asked.
pub(crate) fn confirm(question: &str) -> Result<(), CliError> {
    use std::io::{IsTerminal, Write};
    if !std::io::stdin().is_terminal() {
        return Err(CliError::bad_input(
            "nobody can be asked here",
            "read the plan and add `-y`",
        ));
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        let mut error = CliError::bad_input("nothing was changed", "run it again and answer `y`");
        error.code = ExitCode::Failed;
        Err(error)
    }
}
