//! What can go wrong with a host.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use slipway_api::{Architecture, Failure, Sha256Digest};

use crate::ssh::SshError;

/// A failed act on a host; `host` is its name in the cluster file.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// SSH failed before there was an agent.
    #[error(transparent)]
    Ssh(Box<SshError>),
    /// `sudo` wants a password, and there is none.
    #[error("{host}: sudo asks for the password of `{user}`, and none is given")]
    SudoPasswordMissing {
        /// The host.
        host: String,
        /// The user.
        user: String,
    },
    /// `sudo` refuses the password.
    #[error("{host}: sudo refuses the password of `{user}`")]
    SudoPasswordWrong {
        /// The host.
        host: String,
        /// The user.
        user: String,
    },
    /// `sudo` does not let the user become root.
    #[error("{host}: `{user}` cannot become root with sudo: {said}")]
    SudoRefused {
        /// The host.
        host: String,
        /// The user.
        user: String,
        /// What sudo said.
        said: String,
    },
    /// The host's machine type is not one we know.
    #[error("{host}: its architecture `{machine}` is not supported")]
    UnknownArchitecture {
        /// The host.
        host: String,
        /// What `uname -m` says there.
        machine: String,
    },
    /// There is no agent for the host's architecture.
    #[error("{host}: there is no slipway for its architecture {architecture} at hand")]
    NoAgent {
        /// The host.
        host: String,
        /// The architecture.
        architecture: Architecture,
    },
    /// The agent's file cannot be read here.
    #[error("{}: the agent to upload cannot be read", path.display())]
    AgentFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent's file could not be placed on the host.
    #[error("{host}: slipway could not be copied to {path}: {said}")]
    AgentUpload {
        /// The host.
        host: String,
        /// Where it was to be.
        path: String,
        /// What the host said.
        said: String,
    },
    /// The agent's file is in place and may not be run.
    #[error("{host}: {path} cannot be executed there: its file system is mounted noexec")]
    NotExecutable {
        /// The host.
        host: String,
        /// The file.
        path: String,
    },
    /// The agent ended before it said hello.
    #[error("{host}: the agent did not start: {said}")]
    AgentDidNotStart {
        /// The host.
        host: String,
        /// What it, or the shell, said.
        said: String,
    },
    /// The agent answers in a way that it should not.
    #[error("{host}: the agent does not keep to the protocol: {what}")]
    Protocol {
        /// The host.
        host: String,
        /// What it did.
        what: String,
    },
    /// The connection or the agent went away; the request may or may not have been carried out.
    #[error("{host}: the connection to the agent was lost: {reason}")]
    ConnectionLost {
        /// The host.
        host: String,
        /// What is known of the cause.
        reason: String,
    },
    /// The agent says nothing about a request, though the connection lives.
    #[error("{host}: no sign of life for {} s while asked to: {request}", limit.as_secs())]
    Hangs {
        /// The host.
        host: String,
        /// What was asked.
        request: String,
        /// How long it may be silent about that.
        limit: Duration,
    },
    /// The agent carried out the request and failed.
    #[error("{host}: {}", failure.message)]
    Failed {
        /// The host.
        host: String,
        /// What the agent says.
        failure: Box<Failure>,
    },
    /// A blob's bytes could not be read here.
    #[error("{host}: the blob {sha256} to upload cannot be read")]
    BlobUnreadable {
        /// The host.
        host: String,
        /// The blob.
        sha256: Sha256Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What comes from a host could not be written here.
    #[error("what the host sends cannot be written here")]
    SinkUnwritable {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<SshError> for HostError {
    fn from(error: SshError) -> Self {
        Self::Ssh(Box::new(error))
    }
}

impl HostError {
    /// Returns what the user can do about it, if anything is known.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Ssh(error) => error.help(),
            Self::SudoPasswordMissing { user, .. } => format!(
                "give the password with `passwordFile`, or let `{user}` run sudo without one \
                 (`{user} ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d)"
            ),
            Self::SudoPasswordWrong { .. } => "correct the password in `passwordFile`".into(),
            Self::SudoRefused { user, .. } => format!(
                "log in to the host and try `sudo -v` as `{user}`; set `sudo: false` only where \
                 the user is root under another name"
            ),
            Self::UnknownArchitecture { .. } => "supported are amd64 and arm64".into(),
            Self::NoAgent { architecture, .. } => {
                format!("use a bundle made with `slipway bundle create --arch {architecture}`")
            }
            Self::AgentFile { path, .. } => format!("check that {} is readable", path.display()),
            Self::AgentUpload { path, .. } => {
                format!("check space and mount options on the host: `df -h {path}`")
            }
            Self::NotExecutable { .. } => {
                "mount /var/lib/slipway without `noexec`: `mount -o remount,exec /var`".into()
            }
            Self::AgentDidNotStart { .. } | Self::Protocol { .. } => return None,
            Self::ConnectionLost { .. } => {
                "run the same command again to go on: what was done is seen, and the rest follows"
                    .into()
            }
            Self::Hangs { .. } => {
                "look on the host for what hangs (`df`, `dmesg`, `systemctl --failed`), and run \
                 the same command again to go on"
                    .into()
            }
            Self::Failed { failure, .. } => return failure.help.clone(),
            Self::BlobUnreadable { .. } => "check the bundle with `slipway bundle verify`".into(),
            Self::SinkUnwritable { .. } => "free some space here, or name a file elsewhere".into(),
        })
    }

    /// Returns whether the host could not be reached, as opposed to refusing something.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Ssh(error) => error.is_unreachable(),
            Self::ConnectionLost { .. } | Self::Hangs { .. } => true,
            Self::SudoPasswordMissing { .. }
            | Self::SudoPasswordWrong { .. }
            | Self::SudoRefused { .. }
            | Self::UnknownArchitecture { .. }
            | Self::NoAgent { .. }
            | Self::AgentFile { .. }
            | Self::AgentUpload { .. }
            | Self::NotExecutable { .. }
            | Self::AgentDidNotStart { .. }
            | Self::Protocol { .. }
            | Self::Failed { .. }
            | Self::BlobUnreadable { .. }
            | Self::SinkUnwritable { .. } => false,
        }
    }

    /// Returns the error as data for plans, facts and journals.
    pub fn to_failure(&self) -> Failure {
        if let Self::Failed { host, failure } = self {
            let message = format!("{host}: {}", failure.message);
            return Failure {
                message,
                ..failure.as_ref().clone()
            };
        }
        let failure = Failure::of(self);
        match self.help() {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }
}
