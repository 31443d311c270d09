//! Runs the host's own programs.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::AgentError;

/// The longest that a program may take before it is ended.
const LIMIT: Duration = Duration::from_secs(180);

/// How many characters of stderr an error keeps.
const STDERR_CHARACTERS: usize = 600;

/// Runs a program and returns what it printed on stdout.
///
/// # Errors
/// It cannot be started, takes longer than three minutes, or exits non-zero.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Result<String, AgentError> {
    let command = format!("{program} {}", arguments.join(" "));
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env("LC_ALL", "C")
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, child.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(source)) => return Err(AgentError::Spawn { command, source }),
        Err(_) => {
            return Err(AgentError::Command {
                command,
                status: format!("ended after {} s", LIMIT.as_secs()),
                stderr: String::new(),
            });
        }
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = stderr.trim();
    let skipped = stderr.chars().count().saturating_sub(STDERR_CHARACTERS);
    Err(AgentError::Command {
        command,
        status: output.status.to_string(),
        stderr: stderr.chars().skip(skipped).collect(),
    })
}
