//! What the balancer is told at start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the balancer is told at start.
#[derive(Clone, Debug)]
pub struct BalancerOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The file with the API servers to begin with, [`slipway_api::BalancerSeeds`].
    pub seeds: PathBuf,
    /// Where it keeps the API servers that it learned of, in the same form.
    pub members: PathBuf,
    /// Where it writes its [`slipway_api::BalancerState`].
    pub state: PathBuf,
    /// The cluster's CA certificates, PEM.
    pub ca: PathBuf,
    /// The kubelet's client certificate and key, PEM in one file; without the
    /// file, as before the kubelet joined, nothing is learned.
    pub client: PathBuf,
    /// How often each API server is asked whether it is ready.
    pub health_period: Duration,
    /// How often one of them is asked who they all are.
    pub members_period: Duration,
}
