//! What happens during a run, as it is journalled and shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Failure, HostName, LeftOut, Phase, StepId};

/// Names a run: a sortable time and a random part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Returns the ID of a run that starts at `now`; `nonce` tells apart runs of one second.
    pub fn new(now: Timestamp, nonce: u32) -> Self {
        Self(format!("{}-{nonce:08x}", now.strftime("%Y%m%d-%H%M%S")))
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the ID that `text` names, if it can be one: IDs become file names.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(is_plain))
            .then(|| Self(text.to_owned()))
    }
}

/// One line of a journal: an event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the clock of the machine that wrote the line.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The cluster's name.
        cluster: String,
        /// The command, for example `init`.
        command: String,
        /// The steps that are planned.
        steps: Vec<StepSummary>,
        /// Hosts that could not be reached and are left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<LeftOut>,
    },
    /// A host is out of reach from now on: none of its other steps begins.
    HostLost(LeftOut),
    /// A step has failed whose host comes back to what it was before: by these steps.
    WayBackStarted {
        /// The host.
        host: HostName,
        /// The steps.
        steps: Vec<StepSummary>,
    },
    /// Before a step acts.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// A step advances.
    StepProgress {
        /// The step.
        step: StepId,
        /// What is done, in bytes or pieces.
        done: u64,
        /// Out of how much.
        total: u64,
        /// What is being done now.
        doing: String,
    },
    /// A step says something.
    StepLog {
        /// The step.
        step: StepId,
        /// One line.
        line: String,
    },
    /// A step is done.
    StepFinished {
        /// The step.
        step: StepId,
        /// Whether it changed anything.
        changed: bool,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// The run is over.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
    },
}

/// A planned step without its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSummary {
    /// The step.
    pub id: StepId,
    /// The host.
    pub host: HostName,
    /// The phase.
    pub phase: Phase,
    /// What it does.
    pub description: String,
    /// Why.
    pub because: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step is done.
    Succeeded,
    /// A step failed.
    Failed,
    /// Somebody interrupted it; the steps in flight were finished.
    Interrupted,
}
