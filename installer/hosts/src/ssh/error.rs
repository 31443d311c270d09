//! What can go wrong between here and a shell on a host.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::authentication_failure::AuthenticationFailure;
use super::host_key_problem::HostKeyProblem;
use crate::resolve::ResolveError;

/// A failed SSH connection, login or command; `host` is the name in the cluster file.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The address is a name that nothing resolves.
    #[error("{host}: the address `{address}` could not be resolved")]
    NameNotResolved {
        /// The host.
        host: String,
        /// The name.
        address: String,
        /// Why.
        #[source]
        source: ResolveError,
    },
    /// Nothing listens on the port.
    #[error("{host}: {address} refuses connections")]
    Refused {
        /// The host.
        host: String,
        /// The address and port tried last.
        address: SocketAddr,
    },
    /// No answer came in time.
    #[error("{host}: {endpoint} did not answer within {} s ({stage})", limit.as_secs_f32())]
    TimedOut {
        /// The host.
        host: String,
        /// The address and port.
        endpoint: String,
        /// What was waited for: `TCP`, `key exchange` or `authentication`.
        stage: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// No route leads there, or the network broke while connecting.
    #[error("{host}: {address} cannot be reached")]
    Unreachable {
        /// The host.
        host: String,
        /// The address and port tried last.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Something answers, but SSH does not come about.
    #[error("{host}: {endpoint} answers, but no SSH connection comes about")]
    Handshake {
        /// The host.
        host: String,
        /// The address and port.
        endpoint: String,
        /// What the SSH library said.
        #[source]
        source: russh::Error,
    },
    /// The host's key or certificate is not trusted.
    #[error("{host}: {problem}")]
    HostKey {
        /// The host.
        host: String,
        /// What is wrong with the key.
        problem: Box<HostKeyProblem>,
    },
    /// A `known_hosts` file cannot be read or written.
    #[error("{host}: the file {} cannot be used", path.display())]
    KnownHostsFile {
        /// The host.
        host: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The host accepts none of the keys and passwords offered.
    #[error("{}", failure.describe(host))]
    AuthenticationFailed {
        /// The host.
        host: String,
        /// What was tried.
        failure: Box<AuthenticationFailure>,
    },
    /// A bastion on the way could not be used.
    #[error("{host}: the bastion {bastion} cannot be used")]
    Bastion {
        /// The host.
        host: String,
        /// The bastion's address and port.
        bastion: String,
        /// Why; shared by every host behind the bastion.
        #[source]
        source: Arc<SshError>,
    },
    /// The bastion could not open a connection to the host.
    #[error("{host}: the bastion {bastion} could not connect to {endpoint}")]
    BastionRefused {
        /// The host.
        host: String,
        /// The bastion's name.
        bastion: String,
        /// The address and port wanted.
        endpoint: String,
        /// What the SSH library said.
        #[source]
        source: russh::Error,
    },
    /// The host does not connect to an address beside it.
    #[error("{host}: the host does not connect to {destination}")]
    ForwardRefused {
        /// The host.
        host: String,
        /// The address and port, as the host sees them.
        destination: SocketAddr,
        /// What the SSH library said.
        #[source]
        source: russh::Error,
    },
    /// The connection broke after login.
    #[error("{host}: the SSH connection was lost: {reason}")]
    ConnectionLost {
        /// The host.
        host: String,
        /// What is known of the cause.
        reason: String,
    },
    /// The host opens no further session on this connection.
    #[error("{host}: the host opens no further session")]
    NoSession {
        /// The host.
        host: String,
        /// What the SSH library said.
        #[source]
        source: russh::Error,
    },
    /// The host runs no commands for this user.
    #[error("{host}: the host refuses to run commands for this user")]
    CommandsRefused {
        /// The host.
        host: String,
    },
    /// The user's SSH configuration cannot be used.
    #[error("{host}: the SSH configuration cannot be used: {reason}")]
    Configuration {
        /// The host.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

impl SshError {
    /// Returns what the user can do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NameNotResolved { address, .. } => {
                format!("correct `address`, or add `{address}` to DNS or to /etc/hosts here")
            }
            Self::Refused { address, .. } => format!(
                "start sshd on the host (`systemctl start ssh`), or correct `port` (now {})",
                address.port()
            ),
            Self::TimedOut { .. } => {
                "check that the host is up and that no firewall drops the port".into()
            }
            Self::Unreachable { .. } => {
                "check the route to the host (`ip route get ADDRESS`)".into()
            }
            Self::Handshake { endpoint, .. } => {
                format!("see whether `ssh -v ssh://{endpoint}` gets further; is it an SSH port?")
            }
            Self::HostKey { problem, .. } => problem.help(),
            Self::KnownHostsFile { path, .. } => {
                format!("check owner and mode of {} (0600, yours)", path.display())
            }
            Self::AuthenticationFailed { failure, .. } => failure.help(),
            Self::Bastion { source, .. } => source.help(),
            Self::BastionRefused { .. } => {
                "check that the bastion reaches the host and allows forwarding \
                 (`AllowTcpForwarding yes` in its sshd_config)"
                    .into()
            }
            Self::ForwardRefused { destination, .. } => format!(
                "see whether something listens there (`ss -tln` on the host, {destination}), and \
                 whether its sshd_config lets forwards through (`AllowTcpForwarding local`)"
            ),
            Self::ConnectionLost { .. } => {
                "run the same command again to go on: what was done is seen, and the rest follows"
                    .into()
            }
            Self::NoSession { .. } => "raise `MaxSessions` in the host's sshd_config".into(),
            Self::CommandsRefused { .. } => {
                "give the user a login shell, and remove `ForceCommand` or `command=` from its key"
                    .into()
            }
            Self::Configuration { .. } => {
                "set `address`, `user`, `port`, `identityFile` and `proxyJump` in the cluster file"
                    .into()
            }
        }
    }

    /// Returns whether the host could not be reached at all, as opposed to letting nobody in.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::NameNotResolved { .. }
                | Self::Refused { .. }
                | Self::TimedOut { .. }
                | Self::Unreachable { .. }
                | Self::Handshake { .. }
                | Self::Bastion { .. }
                | Self::BastionRefused { .. }
                | Self::ConnectionLost { .. }
        )
    }
}
