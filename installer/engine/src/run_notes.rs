//! Has each host write down the run before its first step.

use std::collections::BTreeMap;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Event, HostName, Plan, RunId};
use slipway_hosts::Host;
use tokio::sync::OnceCell;

use crate::run_plan::summary;
use crate::step_error::StepError;

/// Which hosts know of the run.
pub(crate) struct RunNotes<'a> {
    run: &'a RunId,
    command: &'a str,
    plan: &'a Plan,
    noted: BTreeMap<HostName, OnceCell<()>>,
}

impl<'a> RunNotes<'a> {
    /// Returns that no host knows yet.
    pub fn new(run: &'a RunId, command: &'a str, plan: &'a Plan) -> Self {
        let hosts = plan.hosts().into_iter();
        Self {
            run,
            command,
            plan,
            noted: hosts.map(|host| (host, OnceCell::new())).collect(),
        }
    }

    /// Has `host` write down the run with its own steps, unless it has.
    pub async fn ensure(&self, name: &HostName, host: &dyn Host) -> Result<(), StepError> {
        let Some(noted) = self.noted.get(name) else {
            return Ok(());
        };
        let note = || async {
            let steps = self.plan.steps.iter().filter(|step| step.host == *name);
            let event = Event::RunStarted {
                cluster: self.plan.cluster.clone(),
                command: self.command.to_owned(),
                steps: steps.map(summary).collect(),
                left_out: self.plan.left_out.clone(),
            };
            let request = Request::NoteRun {
                run: self.run.clone(),
                event: Box::new(event),
            };
            let reply = host.request(request, &|_| {}).await;
            let reply = reply.map_err(StepError::on(name))?;
            let Reply::Done { .. } = reply else {
                return Err(StepError::unexpected(&reply));
            };
            Ok(())
        };
        noted.get_or_try_init(note).await.map(drop)
    }
}
