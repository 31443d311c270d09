//! How `slipway` ends; scripts rely on these numbers.

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done, or nothing to do.
    Done,
    /// A step failed.
    Failed,
    /// Changes are pending.
    Pending,
    /// Preflight found errors.
    Preflight,
    /// A host cannot be reached.
    Unreachable,
    /// The input is wrong.
    BadInput,
    /// Slipway itself is wrong.
    Bug,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Done => 0,
            ExitCode::Failed => 1,
            ExitCode::Pending => 2,
            ExitCode::Preflight => 3,
            ExitCode::Unreachable => 4,
            ExitCode::BadInput => 64,
            ExitCode::Bug => 70,
        })
    }
}
