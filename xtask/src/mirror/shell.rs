//! Running programs for one component, with their output in a log file and a sign of life on stderr.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How often a program that is still running is mentioned.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(100);
/// How many lines of a failed program's output are shown.
const TAIL_LINES: usize = 30;

/// Runs programs, logs their output and says what is going on.
pub struct Shell {
    name: String,
    log: PathBuf,
    started: Instant,
}

impl Shell {
    /// Starts an empty log at `log` for the component `name`.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn new(name: &str, log: PathBuf) -> Result<Self, Error> {
        File::create(&log).map_err(Error::file("write", &log))?;
        Ok(Self {
            name: name.to_owned(),
            log,
            started: Instant::now(),
        })
    }

    /// Returns the whole seconds since this component was started.
    pub fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Prints one line of progress with the seconds so far.
    pub fn say(&self, what: &str) {
        eprintln!("{:>5}s  {:<28} {what}", self.seconds(), self.name);
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// The program cannot be started or fails; the error carries the end of its output.
    pub fn run(&self, command: &mut Command) -> Result<(), Error> {
        let log = self.open_log()?;
        let copy = log.try_clone().map_err(Error::file("write", &self.log))?;
        command.stdin(Stdio::null()).stdout(log).stderr(copy);
        self.wait(command)
    }

    /// Runs a program to its end and returns what it wrote to stdout.
    ///
    /// # Errors
    /// As for [`Shell::run`].
    pub fn capture(&self, command: &mut Command) -> Result<String, Error> {
        let output = command
            .stdin(Stdio::null())
            .stderr(self.open_log()?)
            .output()
            .map_err(|source| start_error(command, source))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        // Some tools, `go mod download -json` among them, explain failures on stdout.
        Err(Error::Failed {
            command: line_of(command),
            status: output.status,
            log: self.log.clone(),
            tail: format!("{}{text}", self.tail()),
        })
    }

    fn wait(&self, command: &mut Command) -> Result<(), Error> {
        let started = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|source| start_error(command, source))?;
        let mut next_sign = SIGN_OF_LIFE;
        let status = loop {
            let ended = child
                .try_wait()
                .map_err(|source| start_error(command, source))?;
            if let Some(status) = ended {
                break status;
            }
            if started.elapsed() > next_sign {
                next_sign += SIGN_OF_LIFE;
                self.say("still at it");
            }
            std::thread::sleep(POLL);
        };
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            command: line_of(command),
            status,
            log: self.log.clone(),
            tail: self.tail(),
        })
    }

    fn open_log(&self) -> Result<File, Error> {
        OpenOptions::new()
            .append(true)
            .open(&self.log)
            .map_err(Error::file("write", &self.log))
    }

    fn tail(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut log) = File::open(&self.log) {
            // The tail only decorates an error: what could be read is good enough.
            let _ = log.read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        lines[from..]
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect()
    }
}

/// Returns a command that runs `program` in `directory`.
pub fn command_in(directory: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

fn line_of(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn start_error(command: &Command, source: std::io::Error) -> Error {
    Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_shows_the_end_of_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let shell = Shell::new("test", folder.path().join("log")).unwrap();
        let script = "for i in $(seq 40); do echo line $i; done; echo oh >&2; exit 3";
        let error = shell
            .run(Command::new("sh").args(["-c", script]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 40\n    oh\n"), "{error}");
        assert!(!error.contains("line 5\n"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
