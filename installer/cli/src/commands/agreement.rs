//! Gets the user's yes to a plan, in advance or on the terminal, and the hosts' locks.

use slipway_api::{HostName, Plan, RunId};
use slipway_engine::{Fleet, LockRequest, Survey, agree};

use super::confirm::confirm;
use crate::args::Output;
use crate::cli_error::CliError;
use crate::session::lock_holder;
use crate::show;

/// How a plan is agreed to.
pub(crate) struct Agreement<'a> {
    /// The host that is locked before all others.
    pub first: &'a HostName,
    /// The run that will hold the hosts' locks.
    pub run: &'a RunId,
    /// Whether the yes was given in advance: `-y`.
    pub yes: bool,
    /// How plans are shown.
    pub output: Output,
}

impl Agreement<'_> {
    /// Returns what is to be done, shown, agreed to and seen under the hosts'
    /// locks; `question` says what is asked about a plan.
    pub async fn reach(
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
