//! Runs a plan: journalled, shown as it happens, and stopped in good order by Ctrl-C.

use slipway_api::{Outcome, Plan, RunId, RunState};
use slipway_bundle::BlobStore;
use slipway_engine::{Fleet, RunJournal, RunRequest, run_plan};

use crate::args::Output;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::journal_folder;
use crate::show::{self, RunView, SameAgain};

/// A run that is about to begin.
pub(crate) struct Execution<'a> {
    /// The command's name.
    pub command: &'a str,
    /// The cluster's name.
    pub cluster: &'a str,
    /// The run, which holds the hosts' locks.
    pub run: RunId,
    /// What takes in hosts that are left out.
    pub again: &'a SameAgain,
    /// How it is shown.
    pub output: Output,
}

impl Execution<'_> {
    /// Runs the plan and tells how it ended.
    pub async fn run(
        self,
        fleet: &Fleet,
        plan: &Plan,
        blobs: &dyn BlobStore,
    ) -> Result<RunState, CliError> {
        let mut journal = RunJournal::create(&journal_folder(), self.cluster, &self.run)?;
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
        let mut view = RunView::new(self.output);
        let mut journal_failure = None;
        let request = RunRequest {
            run: self.run,
            command: self.command.to_owned(),
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
        if self.output == Output::Text {
            show::outcome(&state, journal.path());
        }
        show::left_out(&state.left_out, self.again, self.output);
        Ok(state)
    }
}

/// Returns how a run's end is told to scripts.
pub(crate) fn exit_code_of(state: &RunState) -> ExitCode {
    match state.outcome {
        _ if !state.left_out.is_empty() => ExitCode::Unreachable,
        Some(Outcome::Succeeded) => ExitCode::Done,
        Some(Outcome::Failed | Outcome::Interrupted) | None => ExitCode::Failed,
    }
}

/// Returns how a plan that is not run is told to scripts.
pub(crate) fn exit_code_of_plan(plan: &Plan) -> ExitCode {
    if !plan.left_out.is_empty() {
        ExitCode::Unreachable
    } else if plan.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Pending
    }
}
