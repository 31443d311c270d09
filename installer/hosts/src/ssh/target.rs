//! Where and as whom an SSH connection is opened.

use std::path::PathBuf;
use std::time::Duration;

use super::passphrase::PassphraseSource;
use crate::Secret;

/// How long a connection attempt may take when nothing else is said.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The port of SSH.
pub const DEFAULT_SSH_PORT: u16 = 22;

/// Everything that opening a connection to one host needs; no other place is consulted.
#[derive(Clone, Debug)]
pub struct SshTarget {
    /// The name in messages: the host's name in the cluster file.
    pub host_name: String,
    /// The DNS name or IP address to connect to; also the name looked up in `known_hosts`.
    pub address: String,
    /// The TCP port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// Private keys to offer, in this order.
    pub identity_files: Vec<PathBuf>,
    /// The socket of the authentication agent, if one is to be asked.
    pub agent_socket: Option<PathBuf>,
    /// Whether only agent keys that belong to `identity_files` are offered.
    pub identities_only: bool,
    /// The passphrase of encrypted identity files.
    pub passphrase: PassphraseSource,
    /// The password for logging in and for `sudo`.
    pub password: Option<Secret>,
    /// The `known_hosts` files; new keys are appended to the first.
    pub known_hosts_files: Vec<PathBuf>,
    /// The name to look up in `known_hosts` in place of the address (ssh_config's `HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// Whether a host that no file knows is trusted and recorded at first contact.
    pub accept_new_host_keys: bool,
    /// The bastions to go through, nearest first.
    pub proxy_jump: Vec<SshTarget>,
    /// Whether `sudo` makes the user root.
    pub sudo: SudoMode,
    /// How long name resolution, TCP, key exchange and authentication may take, each.
    pub connect_timeout: Duration,
}

impl SshTarget {
    /// Returns a target with strict host keys, the user's agent and nothing else set.
    pub fn new(
        host_name: impl Into<String>,
        address: impl Into<String>,
        user: impl Into<String>,
    ) -> Self {
        Self {
            host_name: host_name.into(),
            address: address.into(),
            port: DEFAULT_SSH_PORT,
            user: user.into(),
            identity_files: Vec::new(),
            agent_socket: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            identities_only: false,
            passphrase: PassphraseSource::from_env(),
            password: None,
            known_hosts_files: Vec::new(),
            host_key_alias: None,
            accept_new_host_keys: false,
            proxy_jump: Vec::new(),
            sudo: SudoMode::On,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        }
    }

    /// Returns `address:port`, with brackets around an IPv6 address.
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') && !self.address.starts_with('[') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

/// Whether commands run through `sudo`; the user root never needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SudoMode {
    /// Commands run as the user who logs in.
    Off,
    /// Commands run through `sudo`, with the target's password where one is asked for.
    On,
}
