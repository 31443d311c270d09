//! Everything that can fail on a host.

use std::path::{Path, PathBuf};

use slipway_api::{Failure, Sha256Digest};

/// A failure on a host.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A file operation failed.
    #[error("cannot {doing} {path}", path = path.display())]
    File {
        /// What was tried: `read`, `write`, `delete`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot run `{command}`")]
    Spawn {
        /// The command line.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program said no.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it printed on stderr.
        stderr: String,
    },
    /// A blob that a step needs is not in the store.
    #[error("blob {0} is not in this host's store")]
    MissingBlob(Sha256Digest),
    /// A blob's bytes are not what its name says.
    #[error("blob {expected} arrived as {found}: it was damaged on the way or at its source")]
    WrongBlob {
        /// The digest it should have.
        expected: Sha256Digest,
        /// The digest it has.
        found: Sha256Digest,
    },
    /// A key, certificate or kubeconfig could not be made.
    #[error("cannot {doing}")]
    Pki {
        /// What was tried.
        doing: String,
        /// Why.
        source: slipway_pki::PkiError,
    },
    /// The Kubernetes API refused or did not answer.
    #[error("cannot {doing}")]
    Kubernetes {
        /// What was tried.
        doing: String,
        /// Why.
        source: Box<crate::kubernetes::KubernetesError>,
    },
    /// The cluster to be joined was not found, or is not trusted.
    #[error(transparent)]
    Discovery(Box<crate::kubernetes::DiscoveryError>),
    /// etcd refused or did not answer.
    #[error(transparent)]
    Etcd(Box<crate::etcd::EtcdError>),
    /// The container runtime refused or did not answer.
    #[error("cannot {doing}")]
    Runtime {
        /// What was tried.
        doing: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A step ran, and its check is still not content.
    #[error("the step ran, but {because}")]
    NotTaken {
        /// What the check says.
        because: String,
    },
    /// A condition did not come true in time.
    #[error("gave up after {seconds} s waiting until {condition}: {seen}")]
    TimedOut {
        /// The condition.
        condition: String,
        /// How long was waited.
        seconds: u64,
        /// What was seen last.
        seen: String,
        /// The log that explains it.
        log_tail: Vec<String>,
        /// What to look at.
        help: String,
    },
    /// A component does not come up, and waiting longer would not help.
    #[error("{component} does not come up: {because}")]
    DoesNotComeUp {
        /// The component.
        component: String,
        /// What is known of it.
        because: String,
        /// The log that explains it.
        log_tail: Vec<String>,
    },
    /// Whoever waited for a condition is gone.
    #[error("nobody waits any more until {condition}: the connection has ended")]
    Abandoned {
        /// The condition.
        condition: String,
    },
    /// Another run holds the host.
    #[error("another run holds this host: {holder}")]
    Locked {
        /// Who.
        holder: String,
    },
    /// Something on the host is in the way, and somebody must decide about it.
    #[error("{message}")]
    Blocked {
        /// What.
        message: String,
        /// What to type.
        help: String,
    },
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
}

impl From<crate::etcd::EtcdError> for AgentError {
    fn from(error: crate::etcd::EtcdError) -> Self {
        Self::Etcd(Box::new(error))
    }
}

impl AgentError {
    /// Returns a function that says what was tried on `path`.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            doing,
            path,
            source,
        }
    }

    /// Returns a function that says which key or certificate was worked on.
    pub(crate) fn pki(doing: impl Into<String>) -> impl FnOnce(slipway_pki::PkiError) -> Self {
        let doing = doing.into();
        move |source| Self::Pki { doing, source }
    }

    /// Returns whether a program could not be run because it is not installed.
    pub(crate) fn is_missing_program(&self) -> bool {
        matches!(self, Self::Spawn { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// Returns the failure that travels to the workstation and into journals.
    pub fn failure(&self) -> Failure {
        let mut failure = Failure::of(self);
        failure.help = self.help();
        if let Self::TimedOut { log_tail, .. } | Self::DoesNotComeUp { log_tail, .. } = self {
            failure.log_tail.clone_from(log_tail);
        }
        failure
    }
}
