//! Prints results and progress. Views take values and change nothing.

mod certificates;
mod etcd;
mod findings;
mod journal;
mod left_out;
mod next_steps;
mod plan;
mod run_view;
mod status;
mod table;
mod transfer;
mod upgrade;

pub(crate) use certificates::CertificatePage;
pub(crate) use etcd::etcd_members;
pub(crate) use findings::{findings, findings_of_run, warnings};
pub(crate) use journal::journal;
pub(crate) use left_out::{SameAgain, left_out};
pub(crate) use next_steps::{joined, next_steps, outcome};
pub(crate) use plan::{nothing_to_do, plan, plan_to_agree, plan_with_findings};
pub(crate) use run_view::RunView;
pub(crate) use status::StatusPage;
pub(crate) use table::table;
pub(crate) use transfer::{inspection, transfer_line};
pub(crate) use upgrade::UpgradePage;

use crate::terminal::{self, Stream};

/// Prints a value as one JSON document on stdout.
pub(crate) fn json(value: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(value).expect("everything shown has only string keys");
    terminal::print_json(Stream::Out, &format!("{text}\n"));
}

/// Prints a value as one line of JSON on stdout.
pub(crate) fn json_line(value: &impl serde::Serialize) {
    let text = serde_json::to_string(value).expect("everything shown has only string keys");
    terminal::print_json(Stream::Out, &format!("{text}\n"));
}
