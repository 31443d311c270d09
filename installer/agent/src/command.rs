//! Runs the host's own programs.

use std::process::{Output, Stdio};
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
    run_within(LIMIT, program, arguments).await
}

/// Runs a program that may take as long as `limit`, and returns what it printed on stdout.
///
/// # Errors
/// It cannot be started, takes longer, or exits non-zero.
pub(crate) async fn run_within(
    limit: Duration,
    program: &str,
    arguments: &[&str],
) -> Result<String, AgentError> {
    let command = format!("{program} {}", arguments.join(" "));
    let output = match output(program, arguments, limit).await {
        Some(Ok(output)) => output,
        Some(Err(source)) => return Err(AgentError::Spawn { command, source }),
        None => {
            return Err(AgentError::Command {
                command,
                status: format!("ended after {} s", limit.as_secs()),
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

/// Runs a program that only looks something up, and returns what it printed on
/// stdout however it ended; nothing where it is missing or takes longer than `limit`.
pub(crate) async fn glance(program: &str, arguments: &[&str], limit: Duration) -> String {
    match output(program, arguments, limit).await {
        Some(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Some(Err(_)) | None => String::new(),
    }
}

/// Returns how a program ended; none where it was ended at its limit.
async fn output(
    program: &str,
    arguments: &[&str],
    limit: Duration,
) -> Option<std::io::Result<Output>> {
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env("LC_ALL", "C")
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        // What was given to Slipway is no business of the host's programs.
        .env_remove("SLIPWAY_TOKEN")
        .stdin(Stdio::null())
        // A Ctrl-C on this machine's terminal is for slipway, which finishes its step.
        .process_group(0)
        .kill_on_drop(true);
    tokio::time::timeout(limit, child.output()).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_to_the_terminal_s_programs_does_not_reach_the_host_s() {
        // The fifth field is the process group. Source: proc_pid_stat(5).
        let stat = run("cat", &["/proc/self/stat"]).await.unwrap();
        let group = stat.split(' ').nth(4).unwrap();
        let own = rustix::process::getpgrp().as_raw_nonzero().to_string();
        assert_ne!(group, own);
    }
}
