//! What can go wrong before and around a run; steps' failures are events.

use std::path::PathBuf;

use slipway_api::{Failure, HostName, LeftOut};
use slipway_planner::PlanError;

/// What can go wrong before and around a run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Hosts that are needed could not be reached.
    #[error("{} cannot be reached", names(.0))]
    Unreachable(Vec<LeftOut>),
    /// A host that was reached failed to answer a request.
    #[error("{host} does not answer: {failure}")]
    Host {
        /// The host.
        host: HostName,
        /// Why.
        failure: Box<Failure>,
    },
    /// No plan can be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A journal on this machine cannot be written or read.
    #[error("cannot {doing} the journal {path}", path = path.display())]
    Journal {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn names(hosts: &[LeftOut]) -> String {
    let names: Vec<_> = hosts.iter().map(|it| it.host.as_str()).collect();
    names.join(", ")
}
