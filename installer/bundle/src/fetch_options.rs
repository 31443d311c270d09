//! How patient and how trusting downloads are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

/// Turns a host name into addresses; supplied by the caller, since names are resolved in one
/// place of the project and never by `getaddrinfo` in a static binary.
pub type NameResolver = Arc<
    dyn Fn(
            String,
        )
            -> BoxFuture<'static, Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Sync,
>;

/// The settings of all downloads.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`),
/// trusted CAs from the system or `SSL_CERT_FILE`.
#[derive(Clone)]
pub struct FetchOptions {
    /// A PEM file with CAs that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Resolves names; without one the C library is asked, which suits tests only.
    pub resolver: Option<NameResolver>,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub stall_timeout: Duration,
    /// How often a transient failure is tried in all.
    pub tries: u32,
    /// The pause before the second try; it doubles from try to try.
    pub first_backoff: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            ca_file: None,
            resolver: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            tries: 5,
            first_backoff: Duration::from_millis(500),
        }
    }
}

impl std::fmt::Debug for FetchOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchOptions")
            .field("ca_file", &self.ca_file)
            .field("connect_timeout", &self.connect_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("tries", &self.tries)
            .field("first_backoff", &self.first_backoff)
            .finish_non_exhaustive()
    }
}
