//! The use-cases: gathers facts, plans, runs a plan across hosts, keeps journal and lock.
//!
//! Nothing here knows a terminal: what happens leaves as [`slipway_api::Entry`] values.

mod agree;
mod blob_delivery;
mod error;
mod etcd_proof;
mod fleet;
mod observe;
mod probe_hosts;
mod run_journal;
mod run_notes;
mod run_plan;
mod run_step;
mod schedule;
mod step_error;
mod survey;
mod tidy;

pub use agree::{Ask, LockRequest, agree};
pub use error::EngineError;
pub use fleet::{ConnectOptions, Fleet};
pub use observe::gather_facts;
pub use probe_hosts::probe_hosts;
pub use run_journal::{RunJournal, newest_journal, newest_journal_of_any};
pub use run_plan::{RunRequest, run_plan};
pub use survey::Survey;
pub use tidy::tidy;
