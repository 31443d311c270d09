//! Brings the executable to a host: the first of the two command lines that its shell ever sees.

use std::time::Duration;

use slipway_api::{Architecture, Sha256Digest};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::binaries::{AgentBinaries, AgentBinary};
use super::privilege::{Privilege, RootCommand};
use crate::host::ProgressSink;
use crate::ssh::{ExitStatus, SshConnection, SshTarget};
use crate::{HostError, ssh::SshError};

/// Receives the executable as root: `sh -c SCRIPT slipway SHA256`, the bytes on standard input.
///
/// It answers on standard output: `slipway MACHINE` when it runs, then `present` or `missing`,
/// and `ready`, `noexec` or `mismatch` at the end. Whatever login shell the user has must pass it
/// on unharmed: it holds no single quote, backslash, exclamation mark or newline.
///
/// Reading the whole file for its digest costs more than all the rest of a connection, so what
/// the file was like when its digest was right is noted beside it (`verified-SHA256`): who owns
/// it, its folders and their modes, its inode, size and time of change to the nanosecond, and
/// the host's boot. As long as all of that is the same, it is the same file: nobody but root gets
/// at either, nobody at all can set a time of change, and after a boot, when a power cut may have
/// taken what was not on the disk yet, the digest is taken again.
pub const FIRST_CONTACT_SCRIPT: &str = concat!(
    r#"echo "slipway $(uname -m)"; umask 077; d=/var/lib/slipway/bin; f=$d/slipway-$1; "#,
    r#"v=$d/verified-$1; "#,
    r#"has() { test "$(sha256sum <"$1" | cut -c1-64)" = "$2"; }; "#,
    r#"seen() { stat -c "%a %u" /var/lib/slipway $d && stat -c "%a %u %i %s %z" "$f" && "#,
    r#"cat /proc/sys/kernel/random/boot_id; }; "#,
    r#"if test -s "$v" && test "$(seen)" = "$(cat "$v")"; then echo present; else "#,
    r#"mkdir -p $d && chmod 0700 /var/lib/slipway $d || exit 1; "#,
    r#"if test -f "$f" && has "$f" "$1"; then echo present; else echo missing; "#,
    r#"find $d -name "upload.*" -mmin +60 -exec rm -f {} +; "#,
    r#"t=$(mktemp $d/upload.XXXXXX) || exit 1; "#,
    r#"trap "rm -f $t" EXIT; trap "exit 1" HUP INT TERM; cat >"$t" || exit 1; "#,
    r#"if has "$t" "$1"; then mv -f "$t" "$f" || exit 1; else echo mismatch; exit 1; fi; fi; "#,
    r#"chmod 0700 "$f"; seen >"$v" || rm -f "$v"; fi; "#,
    r#"if test -x "$f"; then echo ready; else echo noexec; fi"#,
);

/// Where agents live on a host; the digest follows.
const AGENT_PREFIX: &str = "/var/lib/slipway/bin/slipway-";

/// How long the script may take for each answer, the bytes themselves not counted.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the host may take to accept a piece; links may be slow, and disks.
const PIECE_TIMEOUT: Duration = Duration::from_secs(120);

/// Pieces in which the executable is sent, in bytes.
const PIECE: usize = 256 << 10;

/// Lines that a talkative login shell may print before the script's first.
const MAX_NOISE: usize = 100;

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 4096;

/// An agent that lies ready on a host.
#[derive(Clone, Debug)]
pub(crate) struct InstalledAgent {
    /// How it is started as root.
    pub(crate) privilege: Privilege,
    /// The second of the two command lines, without sudo.
    pub(crate) command: String,
    /// The host's architecture.
    pub(crate) architecture: Architecture,
}

impl InstalledAgent {
    /// Makes sure that the executable for the host's architecture lies on it, checked by root.
    pub(crate) async fn ensure(
        connection: &SshConnection,
        target: &SshTarget,
        binaries: &AgentBinaries,
        on_progress: ProgressSink<'_>,
    ) -> Result<Self, HostError> {
        let Some((guess, binary)) = binaries.likeliest() else {
            return Err(HostError::NoAgent {
                host: target.host_name.clone(),
                architecture: Architecture::Amd64,
            });
        };
        let contact = Contact { connection, target };
        let (privilege, architecture, talk) = contact.become_root(binary.blob.sha256).await?;
        let (talk, binary) = if architecture == guess {
            (talk, binary)
        } else {
            drop(talk);
            let Some(binary) = binaries.get(architecture) else {
                return Err(HostError::NoAgent {
                    host: target.host_name.clone(),
                    architecture,
                });
            };
            let command = command_line(binary.blob.sha256);
            let mut talk = Talk(privilege.start(connection, &command).await?);
            if talk.machine().await.is_none() {
                return Err(contact.upload_failed(talk, binary).await);
            }
            (talk, binary)
        };
        contact.deliver(talk, binary, on_progress).await?;
        let command = format!("{} agent --stdio", path_of(binary.blob.sha256));
        Ok(Self {
            privilege,
            command,
            architecture,
        })
    }
}

struct Contact<'a> {
    connection: &'a SshConnection,
    target: &'a SshTarget,
}

impl Contact<'_> {
    /// Starts the script in the first way that leads to root.
    async fn become_root(
        &self,
        sha256: Sha256Digest,
    ) -> Result<(Privilege, Architecture, Talk), HostError> {
        let host = || self.target.host_name.clone();
        let user = || self.target.user.clone();
        let mut said = String::new();
        for privilege in Privilege::ways(self.target) {
            let command = privilege
                .start(self.connection, &command_line(sha256))
                .await?;
            let mut talk = Talk(command);
            if let Some(machine) = talk.machine().await {
                let architecture = machine
                    .parse()
                    .map_err(|_| HostError::UnknownArchitecture {
                        host: host(),
                        machine,
                    })?;
                return Ok((privilege, architecture, talk));
            }
            said = talk.last_words().await?;
            if matches!(privilege, Privilege::Direct) {
                return Err(HostError::AgentDidNotStart { host: host(), said });
            }
        }
        // sudo speaks the host's language; only its plain English says what is missing.
        if self.target.password.is_none() && said.contains("password") {
            return Err(HostError::SudoPasswordMissing {
                host: host(),
                user: user(),
            });
        }
        Err(HostError::SudoRefused {
            host: host(),
            user: user(),
            said,
        })
    }

    async fn deliver(
        &self,
        mut talk: Talk,
        binary: &AgentBinary,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        let mut answer = talk.line().await;
        if answer.as_deref() == Some("missing") {
            send(&mut talk.0, binary, on_progress).await?;
            answer = talk.line().await;
        } else if answer.as_deref() == Some("present") {
            answer = talk.line().await;
        }
        match answer.as_deref() {
            Some("ready") => Ok(()),
            Some("noexec") => Err(HostError::NotExecutable {
                host: self.target.host_name.clone(),
                path: path_of(binary.blob.sha256),
            }),
            _ => Err(self.upload_failed(talk, binary).await),
        }
    }

    async fn upload_failed(&self, talk: Talk, binary: &AgentBinary) -> HostError {
        match talk.last_words().await {
            Ok(said) => HostError::AgentUpload {
                host: self.target.host_name.clone(),
                path: path_of(binary.blob.sha256),
                said,
            },
            Err(lost) => lost.into(),
        }
    }
}

/// The script that runs, and its answers.
struct Talk(RootCommand);

impl Talk {
    /// Returns what `uname -m` says, or nothing if the script did not get to run.
    async fn machine(&mut self) -> Option<String> {
        for _ in 0..MAX_NOISE {
            if let Some(machine) = self.line().await?.strip_prefix("slipway ") {
                return Some(machine.to_owned());
            }
        }
        None
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let mut limited = (&mut self.0.stdout).take(MAX_LINE);
        match timeout(ANSWER_TIMEOUT, limited.read_line(&mut line)).await {
            Ok(Ok(1..)) => Some(line.trim_end().to_owned()),
            Ok(Ok(0) | Err(_)) | Err(_) => None,
        }
    }

    /// Returns what standard error and the exit status say.
    async fn last_words(self) -> Result<String, SshError> {
        let RootCommand {
            stdin,
            mut stdout,
            exit,
            stderr,
        } = self.0;
        drop(stdin);
        let mut rest = Vec::new();
        let drain = async {
            let _ = (&mut stdout).take(MAX_LINE).read_to_end(&mut rest).await;
            exit.wait().await
        };
        let status = match timeout(ANSWER_TIMEOUT, drain).await {
            Ok(status) => status?,
            Err(_) => ExitStatus::Unknown,
        };
        let said = stderr.text().await;
        Ok(if said.is_empty() {
            status.to_string()
        } else {
            said
        })
    }
}

async fn send(
    command: &mut RootCommand,
    binary: &AgentBinary,
    on_progress: ProgressSink<'_>,
) -> Result<(), HostError> {
    let unreadable = |source| HostError::AgentFile {
        path: binary.path.clone(),
        source,
    };
    let mut file = tokio::fs::File::open(&binary.path)
        .await
        .map_err(unreadable)?;
    let mut piece = vec![0; PIECE];
    let mut sent = 0;
    loop {
        let count = file.read(&mut piece).await.map_err(unreadable)?;
        let sending = timeout(PIECE_TIMEOUT, command.stdin.write_all(&piece[..count]));
        // A full disk ends the script early; its last words say so, or that it hangs.
        if count == 0 || !matches!(sending.await, Ok(Ok(()))) {
            break;
        }
        sent += count as u64;
        on_progress(sent);
    }
    let _ = command.stdin.shutdown().await;
    Ok(())
}

fn command_line(sha256: Sha256Digest) -> String {
    format!("sh -c '{FIRST_CONTACT_SCRIPT}' slipway {sha256}")
}

fn path_of(sha256: Sha256Digest) -> String {
    format!("{AGENT_PREFIX}{sha256}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_login_shell_passes_the_script_on_unharmed() {
        let harmful = ['\'', '\\', '!', '\n', '\r', '\t'];
        assert!(
            !FIRST_CONTACT_SCRIPT.contains(harmful),
            "{FIRST_CONTACT_SCRIPT}"
        );
    }
}
