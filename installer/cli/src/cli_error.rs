//! An error as a person sees it: what failed, why, and what to type next.

use slipway_api::Failure;
use slipway_engine::EngineError;

use crate::exit_code::ExitCode;
use crate::terminal::{self, Stream};

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CliError {
    /// How the process ends.
    pub code: ExitCode,
    /// What failed.
    pub failure: Failure,
}

impl CliError {
    /// Returns the error of input that makes no sense.
    pub fn bad_input(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code: ExitCode::BadInput,
            failure: Failure::because(message).with_help(help),
        }
    }

    /// Returns the error of something that was tried and failed.
    pub fn failed(error: &dyn std::error::Error) -> Self {
        Self {
            code: ExitCode::Failed,
            failure: Failure::of(error),
        }
    }

    /// Returns the same error with a help text.
    pub fn with_help(mut self, help: Option<String>) -> Self {
        self.failure.help = help.or(self.failure.help);
        self
    }

    /// Prints the error on stderr: as text, or as one JSON document.
    pub fn print(&self, json: bool) {
        if json {
            let document = serde_json::json!({ "error": self.failure });
            return terminal::print_json(Stream::Note, &format!("{document}\n"));
        }
        // The cluster file's errors come with their own heads, several at once.
        terminal::print_error(self.failure.message.trim_start_matches("error: "));
        for cause in &self.failure.causes {
            noteln!("  caused by: {cause}");
        }
        for line in &self.failure.log_tail {
            noteln!("  | {line}");
        }
        if let Some(help) = &self.failure.help {
            noteln!("\nhelp: {help}");
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unreachable(hosts) => {
                let messages: Vec<String> = hosts.iter().map(|it| it.failure.to_string()).collect();
                let help = hosts.iter().find_map(|it| it.failure.help.clone());
                let failure = Failure::because(messages.join("\n       "));
                Self {
                    code: ExitCode::Unreachable,
                    failure,
                }
                .with_help(help)
            }
            EngineError::Held { .. } => {
                let help = "wait until that run has ended; `slipway logs` shows it where it runs";
                Self::failed(&error).with_help(Some(help.to_owned()))
            }
            EngineError::Plan(error) => {
                let help = error.help();
                let mut shown = Self::failed(&error).with_help(help);
                shown.code = ExitCode::BadInput;
                shown
            }
            EngineError::Journal { .. } => Self::failed(&error),
        }
    }
}
