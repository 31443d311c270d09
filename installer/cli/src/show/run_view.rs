//! A run as it happens: hosts side by side on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use slipway_api::{Entry, Event, HostName, Progress, RunState, StepId, StepState, StepSummary};

use crate::args::Output;
use crate::terminal::{self, Stream};

/// After so many seconds what a running step says is worth a line of its own.
const SLOW: i64 = 5;

/// Shows a run. With JSON output, prints its entries as lines on stdout.
pub(crate) struct RunView {
    state: RunState,
    started: Instant,
    shown: Shown,
}

/// How a run is shown.
enum Shown {
    /// Entries as JSON lines.
    Json,
    /// One line an event on stderr.
    Lines,
    /// One moving line a host on stderr.
    Bars(MultiProgress, BTreeMap<HostName, ProgressBar>),
}

impl RunView {
    /// Returns the view that fits the output and the terminal.
    pub fn new(output: Output) -> Self {
        let shown = match output {
            Output::Json => Shown::Json,
            Output::Text if std::io::stderr().is_terminal() => {
                Shown::Bars(MultiProgress::new(), BTreeMap::new())
            }
            Output::Text => Shown::Lines,
        };
        Self {
            state: RunState::default(),
            started: Instant::now(),
            shown,
        }
    }

    /// Takes in an entry and shows what changed. Returns whether anybody still
    /// reads it.
    pub fn show(&mut self, entry: &Entry) -> bool {
        self.state.apply(entry);
        match &mut self.shown {
            Shown::Json => {
                let line = serde_json::to_string(entry).expect("an entry has only string keys");
                return terminal::is_json_read(&line);
            }
            Shown::Lines => {
                let line = line(&self.state, entry, self.started.elapsed());
                return line.is_none_or(|line| terminal::is_read(Stream::Note, &line));
            }
            Shown::Bars(bars, by_host) => {
                if let Event::RunStarted { .. } = entry.event {
                    add_bars(&self.state, bars, by_host);
                }
                for (host, bar) in by_host {
                    let line = host_line(&self.state, host);
                    bar.set_message(terminal::clean(&line).into_owned());
                }
            }
        }
        true
    }

    /// Returns what says something in between, without disturbing what is shown.
    pub fn notes(&self) -> impl Fn(&str) + Send + 'static {
        let bars = match &self.shown {
            Shown::Bars(bars, _) => Some(bars.clone()),
            Shown::Json | Shown::Lines => None,
        };
        move |text| match &bars {
            Some(bars) => bars.suspend(|| noteln!("{text}")),
            None => noteln!("{text}"),
        }
    }

    /// Leaves the terminal as it was.
    pub fn finish(&mut self) {
        if let Shown::Bars(bars, by_host) = &mut self.shown {
            by_host.values().for_each(|bar| bar.finish());
            let _ = bars.println("");
        }
    }
}

fn add_bars(state: &RunState, bars: &MultiProgress, by_host: &mut BTreeMap<HostName, ProgressBar>) {
    let style = ProgressStyle::with_template("{spinner} {prefix:.bold} {elapsed:>4} {wide_msg}");
    for step in &state.steps {
        by_host.entry(step.summary.host.clone()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = &style {
                bar.set_style(style.clone());
            }
            bar.set_prefix(step.summary.host.to_string());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
    }
}

/// Returns what a host is doing: done/total, phase, the longest running step.
fn host_line(state: &RunState, host: &HostName) -> String {
    let steps: Vec<&StepState> = state
        .steps
        .iter()
        .filter(|step| step.summary.host == *host)
        .collect();
    let done = steps
        .iter()
        .filter(|step| matches!(step.progress, Progress::Done { .. }))
        .count();
    let failed = steps
        .iter()
        .filter(|step| matches!(step.progress, Progress::Failed { .. }))
        .count();
    let mut line = format!("{done}/{}", steps.len());
    if failed > 0 {
        line.push_str(&format!(" {failed} failed"));
    }
    let running = steps.iter().find_map(|step| match &step.progress {
        Progress::Running { counted, doing, .. } => Some((step, counted, doing)),
        Progress::Waiting | Progress::Done { .. } | Progress::Failed { .. } => None,
    });
    if let Some((step, counted, doing)) = running {
        line.push_str(&format!(
            " {}: {}",
            step.summary.phase, step.summary.description
        ));
        if let Some((done, total)) = counted {
            let percent = done.saturating_mul(100) / (*total).max(1);
            line.push_str(&format!(" {percent}% {doing}"));
        } else if let Some(said) = step.log.last() {
            line.push_str(&format!(" | {said}"));
        }
    } else if state.left_out.iter().any(|it| it.host == *host) {
        line.push_str(" lost");
    } else if done == steps.len() {
        line.push_str(" done");
    } else {
        line.push_str(" waiting for other hosts");
    }
    line
}

/// Returns the line that tells an event; none for progress that is quick.
fn line(state: &RunState, entry: &Entry, elapsed: Duration) -> Option<String> {
    let at = elapsed.as_secs_f32();
    let find = |id: &StepId| state.steps.iter().find(|step| step.summary.id == *id);
    let (word, step, more) = match &entry.event {
        Event::HostLost(lost) => {
            let host = &lost.host;
            return Some(format!(
                "[{at:6.1}s] LOST   {host}: the others go on without it\n"
            ));
        }
        Event::WayBackStarted { host, .. } => {
            return Some(format!(
                "[{at:6.1}s] BACK   {host} goes back to what it was before\n"
            ));
        }
        Event::StepFinished { step, changed } => (
            if *changed { "done" } else { "as is" },
            find(step)?,
            String::new(),
        ),
        Event::StepFailed { step, failure } => {
            ("FAILED", find(step)?, format!(": {}", failure.message))
        }
        Event::StepLog { step, line } => {
            let step = find(step)?;
            let Progress::Running { since, .. } = &step.progress else {
                return None;
            };
            let seconds = entry.at.as_second() - since.as_second();
            if seconds < SLOW {
                return None;
            }
            let StepSummary {
                phase,
                host,
                description,
                ..
            } = &step.summary;
            return Some(format!(
                "[{at:6.1}s] …      {phase:<18} {host:<8} {description}, for {seconds} s: {line}\n"
            ));
        }
        Event::RunStarted { .. }
        | Event::StepStarted { .. }
        | Event::StepProgress { .. }
        | Event::RunFinished { .. } => return None,
    };
    let seconds = match &step.progress {
        Progress::Done { milliseconds, .. } | Progress::Failed { milliseconds, .. } => {
            *milliseconds as f64 / 1000.0
        }
        Progress::Waiting | Progress::Running { .. } => 0.0,
    };
    let summary = &step.summary;
    Some(format!(
        "[{at:6.1}s] {word:<6} {:<18} {:<8} {} ({seconds:.1} s){more}\n",
        summary.phase, summary.host, summary.description
    ))
}
