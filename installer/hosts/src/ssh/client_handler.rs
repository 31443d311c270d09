//! Answers the SSH library's questions during a connection: is this host key trusted?

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::{DisconnectReason, Handler};
use russh::keys::PublicKeyOrCertificate;

use super::error::SshError;
use super::host_key_log::record_host_key;
use super::host_key_name::HostKeyName;
use super::host_key_problem::HostKeyProblem;
use super::known_hosts::KnownHosts;

/// Why a connection ended, once it has.
#[derive(Debug, Default)]
pub(super) struct LostReason(OnceLock<String>);

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get().map_or("the host closed it", String::as_str))
    }
}

/// What ends a connection from our side: the library's error, or our own verdict.
#[derive(Debug)]
pub(super) enum HandlerError {
    Library(russh::Error),
    Verdict(SshError),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        Self::Library(error)
    }
}

/// The callbacks of one connection.
pub(super) struct ClientHandler {
    pub(super) host: String,
    pub(super) name: HostKeyName,
    pub(super) known_hosts: KnownHosts,
    /// Where a new host is recorded; nothing means strict.
    pub(super) accept_new_into: Option<PathBuf>,
    pub(super) lost: Arc<LostReason>,
}

impl ClientHandler {
    async fn judge(&self, presented: &PublicKeyOrCertificate) -> Result<(), SshError> {
        let verdict = match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.known_hosts.check_key(&self.name, key)
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs());
                self.known_hosts
                    .check_certificate(&self.name, certificate, now)
            }
        };
        let problem = match verdict {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        if let (HostKeyProblem::Unknown { presented, .. }, Some(file)) =
            (problem.as_ref(), &self.accept_new_into)
        {
            return record_host_key(file, &self.name, presented)
                .await
                .map_err(|source| SshError::KnownHostsFile {
                    host: self.host.clone(),
                    path: file.clone(),
                    source,
                });
        }
        Err(SshError::HostKey {
            host: self.host.clone(),
            problem,
        })
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, HandlerError> {
        match self.judge(presented).await {
            Ok(()) => Ok(true),
            Err(error) => Err(HandlerError::Verdict(error)),
        }
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<HandlerError>,
    ) -> Result<(), HandlerError> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the host said `{}`", info.message.trim()), Ok(()))
            }
            DisconnectReason::Error(error) => {
                let text = match &error {
                    HandlerError::Library(russh::Error::KeepaliveTimeout)
                    | HandlerError::Library(russh::Error::InactivityTimeout) => {
                        "the host stopped answering".to_owned()
                    }
                    HandlerError::Library(error) => error.to_string(),
                    HandlerError::Verdict(error) => error.to_string(),
                };
                (text, Err(error))
            }
        };
        // Only the first reason is the cause; later ones follow from it.
        let _ = self.lost.0.set(text);
        result
    }
}
