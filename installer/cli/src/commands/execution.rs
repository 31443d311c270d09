//! Runs a plan: journalled, shown as it happens, and stopped in good order by Ctrl-C.

use std::sync::Arc;

use slipway_api::{Outcome, Plan, RunId, RunState};
use slipway_bundle::BlobStore;
use slipway_engine::{Fleet, RunJournal, RunRequest, run_plan};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::args::Output;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::journal_folder;
use crate::show::{self, RunView, SameAgain};
use crate::terminal;

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
        let (stop_sender, stop) = watch::channel(false);
        let stop_sender = Arc::new(stop_sender);
        let mut view = RunView::new(self.output);
        tokio::spawn(heed_signals(Arc::clone(&stop_sender), view.notes()));
        let mut journal_failure = None;
        let mut is_read = true;
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
            if is_read && !view.show(entry) {
                // Nobody reads any more: in good order all the same.
                is_read = false;
                let _ = stop_sender.send(true);
            }
        })
        .await;
        view.finish();
        if !is_read {
            terminal::leave_quietly();
        }
        let state = result?;
        if let Some(error) = journal_failure {
            noteln!("warning: {error}; the hosts' own journals are whole");
        }
        if self.output == Output::Text {
            show::outcome(&state, journal.path());
        }
        show::left_out(&state.left_out, self.again, self.output);
        Ok(state)
    }
}

/// Ends a run in good order at the first Ctrl-C or SIGTERM, and the process at the second.
async fn heed_signals(stop: Arc<watch::Sender<bool>>, tell: impl Fn(&str)) {
    let (Ok(mut interrupts), Ok(mut terminations)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    let mut is_asked = false;
    loop {
        let kind = tokio::select! {
            Some(()) = interrupts.recv() => SignalKind::interrupt(),
            Some(()) = terminations.recv() => SignalKind::terminate(),
            else => return,
        };
        let code = 128 + kind.as_raw_value();
        if is_asked {
            tell("left at once; the same command again goes on");
            std::process::exit(code);
        }
        // After the run nobody listens.
        if stop.send(true).is_err() {
            std::process::exit(code);
        }
        is_asked = true;
        tell("\nfinishing the steps under way; press Ctrl-C again to leave at once");
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
