//! What commands that change hosts have in common: a look, the user's yes, the hosts' locks, a run.

use std::ops::ControlFlow;

use slipway_api::{HostName, Plan, RunId, RunState};
use slipway_bundle::BlobStore;
use slipway_engine::{Fleet, LockRequest, Survey, agree};

use super::confirm::confirm;
use super::execution::{Execution, exit_code_of_plan};
use crate::args::Output;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::lock_holder;
use crate::show::{self, SameAgain};

/// A command that looks at hosts, has its plan agreed to, and runs it.
pub(crate) struct AgreedRun<'a> {
    /// The command's name.
    pub command: &'a str,
    /// The cluster's name.
    pub cluster: &'a str,
    /// The host that is locked before all others.
    pub first: &'a HostName,
    /// The run, which holds the hosts' locks.
    pub run: RunId,
    /// What takes in hosts that are left out.
    pub again: SameAgain,
    /// Whether the plan is shown and nothing else: `--dry-run`.
    pub dry_run: bool,
    /// Whether the yes was given in advance: `-y`.
    pub yes: bool,
    /// How plans and runs are shown.
    pub output: Output,
}

impl AgreedRun<'_> {
    /// Returns what is to be done, shown, agreed to and seen under the hosts'
    /// locks; or how the command ends where there is nothing to run.
    /// `question` says what is asked about a plan.
    ///
    /// # Errors
    /// The look fails, another run holds a host, or the answer is no.
    pub async fn agree(
        &self,
        fleet: &mut Fleet,
        mut look: impl AsyncFnMut(&mut Fleet) -> Result<Survey, CliError>,
        question: impl Fn(&Plan) -> String,
    ) -> Result<ControlFlow<ExitCode, Survey>, CliError> {
        if self.dry_run {
            let survey = look(fleet).await?;
            show::plan(&survey, self.output);
            return Ok(ControlFlow::Break(exit_code_of_plan(&survey.plan)));
        }
        let survey = self.reach(fleet, look, question).await?;
        if survey.plan.is_empty() {
            show::nothing_to_do(&survey, self.output);
            show::left_out(&survey.plan.left_out, &self.again, self.output);
            return Ok(ControlFlow::Break(exit_code_of_plan(&survey.plan)));
        }
        Ok(ControlFlow::Continue(survey))
    }

    /// Runs what was agreed to and tells how it ended.
    ///
    /// # Errors
    /// The journal cannot be begun, or a host of the plan is not connected.
    pub async fn run(
        &self,
        fleet: &Fleet,
        plan: &Plan,
        blobs: &dyn BlobStore,
    ) -> Result<RunState, CliError> {
        let execution = Execution {
            command: self.command,
            cluster: self.cluster,
            run: self.run.clone(),
            again: &self.again,
            output: self.output,
        };
        execution.run(fleet, plan, blobs).await
    }

    async fn reach(
        &self,
        fleet: &mut Fleet,
        look: impl AsyncFnMut(&mut Fleet) -> Result<Survey, CliError>,
        question: impl Fn(&Plan) -> String,
    ) -> Result<Survey, CliError> {
        let holder = lock_holder(self.run.as_str());
        let lock = LockRequest {
            holder: &holder,
            first: self.first,
        };
        if self.yes {
            let survey = agree(fleet, lock, look, None).await?;
            if !survey.plan.is_empty() {
                show::plan_to_agree(&survey, self.output);
            }
            return Ok(survey);
        }
        let mut is_first = true;
        let mut ask = |survey: &Survey| {
            if !std::mem::take(&mut is_first) {
                noteln!("\nThe hosts have changed meanwhile. This is what is to be done now:\n");
            }
            show::plan_to_agree(survey, self.output);
            confirm(&question(&survey.plan))
        };
        agree(fleet, lock, look, Some(&mut ask)).await
    }
}
