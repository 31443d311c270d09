//! A journal, as it was written.

use slipway_api::{Entry, Event};

use super::json_line;
use crate::args::Output;

/// Prints a journal's entries on stdout.
pub(crate) fn journal(entries: &[Entry], output: Output) {
    for entry in entries {
        if output == Output::Json {
            json_line(entry);
            continue;
        }
        if let Some(text) = line(&entry.event) {
            outln!("{}  {text}", entry.at.strftime("%Y-%m-%d %H:%M:%S"));
        }
    }
}

/// Returns what an event says in one line; none for mere progress.
pub(crate) fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStarted {
            cluster,
            command,
            steps,
            left_out,
        } => {
            let names: Vec<_> = left_out.iter().map(|it| it.host.as_str()).collect();
            let without = match names.as_slice() {
                [] => String::new(),
                names => format!(", without {}", names.join(", ")),
            };
            format!("{command} {cluster}: {} steps{without}", steps.len())
        }
        Event::HostLost(lost) => format!("LOST    {}: {}", lost.host, lost.failure),
        Event::WayBackStarted { host, steps } => {
            format!("back    {host} to what it was: {} steps", steps.len())
        }
        Event::StepStarted { step } => format!("start   {step}"),
        Event::StepProgress { .. } => return None,
        Event::StepLog { step, line } => format!("        {step}: {line}"),
        Event::StepFinished { step, changed } => {
            format!("{} {step}", if *changed { "done   " } else { "as is  " })
        }
        Event::StepFailed { step, failure } => format!("FAILED  {step}: {failure}"),
        Event::RunFinished { outcome } => format!("{outcome:?}").to_lowercase(),
    })
}
