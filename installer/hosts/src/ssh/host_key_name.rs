//! The name under which `known_hosts` files record a host.

use std::fmt;

use super::target::{DEFAULT_SSH_PORT, SshTarget};

/// A host's name in `known_hosts`: `host`, or `[host]:port` where the port is not 22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyName {
    host: String,
    text: String,
    port: u16,
}

impl HostKeyName {
    /// Returns the name that ssh(1) would look up for `target`.
    pub fn of(target: &SshTarget) -> Self {
        match &target.host_key_alias {
            // An alias stands for host and port together.
            Some(alias) => Self::new(alias, DEFAULT_SSH_PORT),
            None => Self::new(&target.address, target.port),
        }
    }

    /// Returns the name of `host` on `port`.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.trim_matches(['[', ']']).to_lowercase();
        let text = if port == DEFAULT_SSH_PORT {
            host.clone()
        } else {
            format!("[{host}]:{port}")
        };
        Self { host, text, port }
    }

    /// Returns the name of the same host on port 22.
    pub fn without_port(&self) -> Self {
        Self::new(&self.host, DEFAULT_SSH_PORT)
    }

    /// Returns the host alone, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the name as a file writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for HostKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
