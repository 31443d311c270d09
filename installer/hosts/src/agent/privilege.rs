//! Starts commands as root.
//!
//! With a password, `sudo -S` reads it from standard input, before anything else may be sent
//! there: it is written only after sudo has printed a prompt that nobody could foresee.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::ssh::{Exec, ExecExit, ExecReader, ExecWriter, SshConnection, SshTarget, SudoMode};
use crate::{HostError, Secret};

/// How much of standard error is kept to explain a failure, in bytes.
const KEPT_OF_STDERR: usize = 8 << 10;

/// How long the rest of standard error is waited for after a command has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a host may take to start a command, and sudo to ask for the password: it may ask a
/// directory service that does not answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How a user becomes root on a host.
#[derive(Clone, Debug)]
pub(crate) enum Privilege {
    /// By being root.
    Direct,
    /// By sudo that asks for no password.
    Sudo,
    /// By sudo with this password.
    SudoWithPassword(Secret),
}

impl Privilege {
    /// Returns the ways to try on `target`, in order.
    pub(crate) fn ways(target: &SshTarget) -> Vec<Self> {
        if target.sudo == SudoMode::Off || target.user == "root" {
            return vec![Self::Direct];
        }
        let with_password = target.password.clone().map(Self::SudoWithPassword);
        std::iter::once(Self::Sudo).chain(with_password).collect()
    }

    /// Starts `command` as root; an answer on standard output proves that it runs.
    pub(crate) async fn start(
        &self,
        connection: &SshConnection,
        command: &str,
    ) -> Result<RootCommand, HostError> {
        match timeout(START_TIMEOUT, self.start_command(connection, command)).await {
            Ok(started) => started,
            Err(_) => Err(HostError::Hangs {
                host: connection.host_name().to_owned(),
                request: "start slipway as root".to_owned(),
                limit: START_TIMEOUT,
            }),
        }
    }

    async fn start_command(
        &self,
        connection: &SshConnection,
        command: &str,
    ) -> Result<RootCommand, HostError> {
        match self {
            Self::Direct => Ok(RootCommand::new(
                connection.exec(command).await?,
                String::new(),
            )),
            Self::Sudo => {
                let exec = connection.exec(&format!("sudo -n {command}")).await?;
                Ok(RootCommand::new(exec, String::new()))
            }
            Self::SudoWithPassword(password) => {
                let nonce = prompt_nonce();
                let mut exec = connection
                    .exec(&format!("sudo -k -S -p {nonce} {command}"))
                    .await?;
                let said = answer_sudo(connection, &mut exec, &nonce, password).await?;
                Ok(RootCommand::new(exec, said))
            }
        }
    }
}

/// A command that was started as root.
pub(crate) struct RootCommand {
    pub(crate) stdin: ExecWriter,
    pub(crate) stdout: ExecReader,
    pub(crate) exit: ExecExit,
    pub(crate) stderr: StderrTail,
}

impl RootCommand {
    fn new(exec: Exec, said: String) -> Self {
        let stderr = StderrTail::follow(exec.stderr, said);
        Self {
            stdin: exec.stdin,
            stdout: exec.stdout,
            exit: exec.exit,
            stderr,
        }
    }
}

/// The end of what a command wrote to standard error.
#[derive(Clone)]
pub(crate) struct StderrTail {
    kept: Arc<Mutex<Vec<u8>>>,
    complete: CancellationToken,
}

impl StderrTail {
    /// Starts to keep the end of `stderr`, after what it has `said` already.
    fn follow(mut stderr: ExecReader, said: String) -> Self {
        let tail = Self {
            kept: Arc::new(Mutex::new(said.into_bytes())),
            complete: CancellationToken::new(),
        };
        let (this, complete) = (tail.clone(), tail.complete.clone().drop_guard());
        tokio::spawn(async move {
            let mut chunk = vec![0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
                this.keep(&chunk[..count]);
            }
            drop(complete);
        });
        tail
    }

    fn keep(&self, chunk: &[u8]) {
        let mut kept = self
            .kept
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.extend_from_slice(chunk);
        let surplus = kept.len().saturating_sub(KEPT_OF_STDERR);
        kept.drain(..surplus);
    }

    /// Returns the last lines of a command that has ended, on one line.
    pub(crate) async fn text(&self) -> String {
        // A child that outlives the command can keep the stream open.
        let _ = timeout(LAST_WORDS_TIMEOUT, self.complete.cancelled()).await;
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let text = String::from_utf8_lossy(&kept).into_owned();
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(5)..].join(" / ")
    }
}

/// Sends the password once sudo asks for it; returns what else was on standard error.
///
/// # Errors
/// sudo asked twice: the password is wrong, and asking on would lock the account.
async fn answer_sudo(
    connection: &SshConnection,
    exec: &mut Exec,
    nonce: &str,
    password: &Secret,
) -> Result<String, HostError> {
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    let mut answered = false;
    loop {
        tokio::select! {
            // Output or its end: sudo has stepped aside, or given up.
            _ = exec.stdout.fill_buf() => {
                return Ok(String::from_utf8_lossy(&said).replace(nonce, ""));
            }
            count = exec.stderr.read(&mut chunk) => match count {
                Ok(count @ 1..) => said.extend_from_slice(&chunk[..count]),
                // Standard output ends too, and says the rest.
                Ok(0) | Err(_) => {
                    let _ = exec.stdout.fill_buf().await;
                    return Ok(String::from_utf8_lossy(&said).replace(nonce, ""));
                }
            },
        }
        let asked = String::from_utf8_lossy(&said).matches(nonce).count();
        if asked > 1 {
            return Err(HostError::SudoPasswordWrong {
                host: connection.host_name().to_owned(),
                user: connection.user().to_owned(),
            });
        }
        if asked == 1 && !answered {
            answered = true;
            // A broken pipe shows as the end of standard output.
            let _ = exec.stdin.write_all(password.reveal().as_bytes()).await;
            let _ = exec.stdin.write_all(b"\n").await;
        }
    }
}

/// Returns a prompt that no other program prints; it needs no quoting in any shell.
fn prompt_nonce() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system has randomness");
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("slipway-sudo-{digits}:")
}
