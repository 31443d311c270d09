//! One SSH connection to one host, checked and logged in.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Config, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Disconnect, Preferred, SshId, cipher};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::authentication::authenticate;
use super::byte_stream::ByteStream;
use super::client_handler::{ClientHandler, HandlerError, LostReason};
use super::error::SshError;
use super::exec::Exec;
use super::host_key_name::HostKeyName;
use super::known_hosts::KnownHosts;
use super::pool::SshPool;
use super::target::SshTarget;
use crate::resolve::resolve_host;

/// A silent host is asked for a sign of life this often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// After this many unanswered questions the connection is lost.
const KEEPALIVE_MAX: usize = 3;

/// The same limit for a write that does not get through, during which the library asks nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The receive window of a channel, in bytes: 8 MiB fill a gigabit link over 60 ms.
const WINDOW_SIZE: u32 = 8 << 20;

/// Logging in may wait for a finger on a security key.
const MIN_LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// AES-GCM first: measured fastest of the modern ciphers where the processor helps.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// The host key algorithms we accept, in order; RSA with SHA-1 is not among them.
const HOST_KEY_ALGORITHMS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// An open connection; any number of commands run over it at once.
pub struct SshConnection {
    host: String,
    user: String,
    handle: Handle<ClientHandler>,
    lost: Arc<LostReason>,
    /// Kept open for as long as this connection goes through it.
    _bastion: Option<Arc<SshConnection>>,
}

impl SshConnection {
    /// Opens a connection to `target`, through its bastions, checks its host key and logs in.
    pub async fn open(target: &SshTarget) -> Result<Self, SshError> {
        SshPool::default().open(target).await
    }

    /// Opens a connection to `target`, ignoring its `proxy_jump`, directly or through `bastion`.
    pub(super) async fn open_through(
        target: &SshTarget,
        bastion: Option<Arc<SshConnection>>,
    ) -> Result<Self, SshError> {
        let transport: Box<dyn ByteStream> = match &bastion {
            Some(bastion) => bastion.forward(target).await?,
            None => Box::new(connect_tcp(target).await?),
        };
        let host = target.host_name.clone();
        let known_hosts =
            KnownHosts::read(&target.known_hosts_files)
                .await
                .map_err(|(path, source)| SshError::KnownHostsFile {
                    host: host.clone(),
                    path,
                    source,
                })?;
        let name = HostKeyName::of(target);
        let lost = Arc::new(LostReason::default());
        let config = Arc::new(client_config(&known_hosts, &name));
        let handler = ClientHandler {
            host: host.clone(),
            accept_new_into: accept_new_into(target, &known_hosts, &name),
            name,
            known_hosts,
            lost: Arc::clone(&lost),
        };
        let timed_out = |stage, limit| SshError::TimedOut {
            host: host.clone(),
            endpoint: target.endpoint(),
            stage,
            limit,
        };
        let limit = target.connect_timeout;
        let mut handle = timeout(limit, client::connect_stream(config, transport, handler))
            .await
            .map_err(|_| timed_out("key exchange", limit))?
            .map_err(|error| match error {
                HandlerError::Verdict(error) => error,
                HandlerError::Library(source) => SshError::Handshake {
                    host: host.clone(),
                    endpoint: target.endpoint(),
                    source,
                },
            })?;
        let limit = limit.max(MIN_LOGIN_TIMEOUT);
        timeout(limit, authenticate(&mut handle, target))
            .await
            .map_err(|_| timed_out("authentication", limit))?
            .map_err(|failure| SshError::AuthenticationFailed {
                host: host.clone(),
                failure: Box::new(failure),
            })?;
        Ok(Self {
            host,
            user: target.user.clone(),
            handle,
            lost,
            _bastion: bastion,
        })
    }

    /// Returns the host's name in messages.
    pub fn host_name(&self) -> &str {
        &self.host
    }

    /// Returns the user who is logged in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Starts `command`, which the user's login shell interprets.
    pub async fn exec(&self, command: &str) -> Result<Exec, SshError> {
        let channel = self
            .handle
            .channel_open_session()
            .await
            .map_err(|source| self.channel_error(source))?;
        Exec::start(channel, command, &self.host, Arc::clone(&self.lost)).await
    }

    /// Opens a connection from the host to `destination`; who waits for an answer sets the limit.
    pub async fn forward_to(
        &self,
        destination: SocketAddr,
    ) -> Result<Box<dyn ByteStream>, SshError> {
        let (address, port) = (destination.ip().to_string(), destination.port());
        let channel = self
            .handle
            .channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0)
            .await
            .map_err(|source| {
                if !matches!(source, russh::Error::ChannelOpenFailure(_)) {
                    return self.channel_error(source);
                }
                SshError::ForwardRefused {
                    host: self.host.clone(),
                    destination,
                    source,
                }
            })?;
        Ok(Box::new(channel.into_stream()))
    }

    /// Closes the connection; commands that still run lose their streams.
    pub async fn close(&self) {
        // Fails only where the connection is gone already.
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "", "en")
            .await;
    }

    async fn forward(&self, target: &SshTarget) -> Result<Box<dyn ByteStream>, SshError> {
        let (address, port) = (target.address.as_str(), u32::from(target.port));
        let open = self
            .handle
            .channel_open_direct_tcpip(address, port, "127.0.0.1", 0);
        let limit = target.connect_timeout;
        let channel = timeout(limit, open)
            .await
            .map_err(|_| SshError::TimedOut {
                host: target.host_name.clone(),
                endpoint: target.endpoint(),
                stage: "TCP",
                limit,
            })?
            .map_err(|source| SshError::BastionRefused {
                host: target.host_name.clone(),
                bastion: self.host.clone(),
                endpoint: target.endpoint(),
                source,
            })?;
        Ok(Box::new(channel.into_stream()))
    }

    fn channel_error(&self, source: russh::Error) -> SshError {
        if self.is_closed() || !matches!(source, russh::Error::ChannelOpenFailure(_)) {
            return SshError::ConnectionLost {
                host: self.host.clone(),
                reason: self.lost.to_string(),
            };
        }
        SshError::NoSession {
            host: self.host.clone(),
            source,
        }
    }
}

impl std::fmt::Debug for SshConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshConnection")
            .field("host", &self.host)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

async fn connect_tcp(target: &SshTarget) -> Result<TcpStream, SshError> {
    let host = &target.host_name;
    let addresses =
        resolve_host(&target.address)
            .await
            .map_err(|source| SshError::NameNotResolved {
                host: host.clone(),
                address: target.address.clone(),
                source,
            })?;
    let share = target.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut failure = None;
    for address in addresses {
        let address = SocketAddr::new(address, target.port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(|source| SshError::Unreachable {
                    host: host.clone(),
                    address,
                    source,
                })?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = Some((address, error)),
            Err(_) => failure = Some((address, io::ErrorKind::TimedOut.into())),
        }
    }
    Err(match failure {
        Some((address, error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            SshError::Refused {
                host: host.clone(),
                address,
            }
        }
        Some((address, error)) if error.kind() != io::ErrorKind::TimedOut => {
            SshError::Unreachable {
                host: host.clone(),
                address,
                source: error,
            }
        }
        Some(_) | None => SshError::TimedOut {
            host: host.clone(),
            endpoint: target.endpoint(),
            stage: "TCP",
            limit: target.connect_timeout,
        },
    })
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let silence = SILENCE_LIMIT.as_millis().try_into().unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(stream, silence)?;
    Ok(())
}

/// Returns the file that may record the host: none if strict, or where an authority speaks for it.
fn accept_new_into(target: &SshTarget, known: &KnownHosts, name: &HostKeyName) -> Option<PathBuf> {
    if !target.accept_new_host_keys || known.has_authority(name) {
        return None;
    }
    target.known_hosts_files.first().cloned()
}

fn client_config(known: &KnownHosts, name: &HostKeyName) -> Config {
    let certificates = if known.has_authority(name) {
        HOST_KEY_ALGORITHMS
    } else {
        &[]
    };
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-slipway_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size: WINDOW_SIZE,
        preferred: Preferred {
            cipher: Cow::Borrowed(CIPHERS),
            key: Cow::Owned(recorded_first(&known.recorded_types(name))),
            host_key_certificates: Cow::Borrowed(certificates),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        inactivity_timeout: Some(SILENCE_LIMIT),
        nodelay: true,
        ..Config::default()
    }
}

/// Orders the algorithms so that a host with several keys shows one that is recorded.
fn recorded_first(recorded: &[Algorithm]) -> Vec<Algorithm> {
    let is_recorded = |algorithm: &&Algorithm| {
        recorded.iter().any(|recorded| match (recorded, algorithm) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (recorded, algorithm) => recorded == *algorithm,
        })
    };
    let (first, rest): (Vec<_>, Vec<_>) = HOST_KEY_ALGORITHMS.iter().partition(is_recorded);
    first.into_iter().chain(rest).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_key_types_are_offered_first() {
        let recorded = [Algorithm::Rsa { hash: None }];
        let order = recorded_first(&recorded);
        assert_eq!(
            order[0],
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha512)
            }
        );
        assert_eq!(
            order[1],
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha256)
            }
        );
        assert_eq!(order[2], Algorithm::Ed25519);
        assert_eq!(order.len(), HOST_KEY_ALGORITHMS.len());
    }
}
