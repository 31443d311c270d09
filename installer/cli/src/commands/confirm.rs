//! Asks before anything changes.

use std::io::IsTerminal;

use crate::cli_error::CliError;
use crate::exit_code::ExitCode;

/// Asks a question on the terminal.
///
/// # Errors
/// The answer is no, or nobody can be asked.
pub(crate) fn confirm(question: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::bad_input(
            "nobody can be asked here",
            "read the plan and add `-y`",
        ));
    }
    note!("{question} [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        let mut error = CliError::bad_input("nothing was changed", "run it again and answer `y`");
        error.code = ExitCode::Failed;
        Err(error)
    }
}
