//! Why the balancer could not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why the balancer could not start. Once it runs, it goes on.
#[derive(Debug, Error)]
pub enum BalancerError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// There is neither a file of seeds nor one of members.
    #[error("cannot read the API servers to begin with from {path}")]
    ReadSeeds {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not what the balancer or Slipway wrote.
    #[error("{path} is not a list of API servers")]
    InvalidSeeds {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The list is empty.
    #[error("{path} names no API server")]
    NoSeeds {
        /// The file.
        path: PathBuf,
    },
}
