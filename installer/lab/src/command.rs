//! Running programs, with errors that say which one failed and why.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::LabError;

/// How much of a failed program's last words an error carries, in bytes.
const STDERR_TAIL: usize = 2_000;

/// How long a program may take where the caller names no limit.
const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

/// What a program said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Returns whether the program ended with exit code 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

/// A program to run: arguments, input and time limit.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    argv: Vec<String>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    /// Returns a program without arguments.
    pub(crate) fn new(program: &str) -> Self {
        Self {
            argv: vec![program.to_owned()],
            stdin: Vec::new(),
            limit: DEFAULT_LIMIT,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// Gives the program this text as its standard input.
    pub(crate) fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Ends the program after `limit`.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program and returns what it said, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started, or ran into its time limit.
    pub(crate) async fn output(self) -> Result<CommandOutput, LabError> {
        let spawn_error = |source| LabError::Spawn {
            program: self.argv[0].clone(),
            source,
        };
        let mut child = Command::new(&self.argv[0])
            .args(&self.argv[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn_error)?;
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let talk = async {
            // A program that does not read its input closes the pipe early: no error of ours.
            let feed = async {
                let _ = pipe.write_all(&self.stdin).await;
                drop(pipe);
            };
            let ((), output) = tokio::join!(feed, child.wait_with_output());
            output
        };
        let output = tokio::time::timeout(self.limit, talk)
            .await
            .map_err(|_| LabError::CommandTimeout {
                command: self.argv.join(" "),
                limit: self.limit,
            })?
            .map_err(spawn_error)?;
        Ok(CommandOutput {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs the program and returns its standard output.
    ///
    /// # Errors
    /// As [`Program::output`], and when it ends with another exit code than 0.
    pub(crate) async fn run(self) -> Result<String, LabError> {
        let command = self.argv.join(" ");
        let output = self.output().await?;
        if output.is_success() {
            return Ok(output.stdout);
        }
        Err(LabError::CommandFailed {
            command,
            status: match output.code {
                Some(code) => format!("exit code {code}"),
                None => "a signal".to_owned(),
            },
            stderr: tail(&output.stderr).to_owned(),
        })
    }
}

/// Returns whether a program of that name is in the search path.
pub(crate) fn is_installed(program: &str) -> bool {
    // System programs are often outside the path of a user who came by `su`.
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|folder| std::path::Path::new(folder).join(program).is_file())
}

fn tail(text: &str) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(STDERR_TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_program_names_its_arguments_exit_code_and_last_words() {
        let error = Program::new("sh")
            .args(["-c", "echo too bad >&2; exit 3"])
            .run()
            .await
            .expect_err("exit code 3 is a failure");
        assert_eq!(
            error.to_string(),
            "`sh -c echo too bad >&2; exit 3` ended with exit code 3: too bad"
        );
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_at_its_limit() {
        let error = Program::new("sleep")
            .args(["60"])
            .limit(Duration::from_millis(50))
            .run()
            .await
            .expect_err("the limit is shorter");
        assert!(matches!(error, LabError::CommandTimeout { .. }), "{error}");
    }

    #[tokio::test]
    async fn input_reaches_the_program() {
        let text = Program::new("cat").stdin("hello").run().await;
        assert_eq!(text.expect("cat works"), "hello");
    }

    #[test]
    fn the_tail_of_a_long_text_begins_at_a_character() {
        let text = "ü".repeat(STDERR_TAIL);
        assert!(tail(&text).chars().all(|c| c == 'ü'));
        assert!(tail(&text).len() <= STDERR_TAIL);
    }
}
