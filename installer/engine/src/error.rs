//! What can go wrong before and around a run; steps' failures are events.

use std::path::PathBuf;

use slipway_api::{HostName, LeftOut};
use slipway_planner::PlanError;

/// What can go wrong before and around a run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Hosts that are needed could not be reached.
    #[error("{} cannot be reached", names(.0))]
    Unreachable(Vec<LeftOut>),
    /// Another run holds a host.
    #[error("another run holds {host}: {holder}")]
    Held {
        /// The host.
        host: HostName,
        /// Who: user@host/pid/run.
        holder: String,
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
