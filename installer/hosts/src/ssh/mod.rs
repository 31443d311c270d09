//! SSH: connections, host keys, logins and commands.

mod authentication;
mod authentication_failure;
mod byte_stream;
mod client_handler;
mod configuration;
mod connection;
mod error;
mod exec;
mod host_key_log;
mod host_key_name;
mod host_key_problem;
mod host_pattern;
mod identity;
mod known_hosts;
mod passphrase;
mod pool;
mod settings;
mod target;

pub use authentication_failure::AuthenticationFailure;
pub use byte_stream::ByteStream;
pub use configuration::SshConfiguration;
pub use connection::SshConnection;
pub use error::SshError;
pub use exec::{Exec, ExecExit, ExecOutput, ExecReader, ExecWriter, ExitStatus};
pub use host_key_name::HostKeyName;
pub use host_key_problem::{HostKeyProblem, RecordedKey};
pub use known_hosts::KnownHosts;
pub use passphrase::{PASSPHRASE_VARIABLE, PassphraseSource};
pub use pool::SshPool;
pub use settings::SshSettings;
pub use target::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_SSH_PORT, SshTarget, SudoMode};
