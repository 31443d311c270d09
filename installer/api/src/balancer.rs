//! What the node-local balancer is told, and what it tells.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The file with the API servers that the balancer begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BalancerSeeds {
    /// Addresses of API servers; a name would need a resolver that may not be up yet.
    pub endpoints: Vec<SocketAddr>,
}

impl BalancerSeeds {
    /// Returns the file's text.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("addresses are JSON");
        text.push('\n');
        text
    }
}

/// What the balancer writes down whenever it changes its mind about an API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalancerState {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Every API server that it knows, in the order of their addresses.
    pub backends: Vec<BalancerBackend>,
}

/// One API server as the balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalancerBackend {
    /// Its address.
    pub address: SocketAddr,
    /// What the last checks said.
    pub health: BackendHealth,
    /// Why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the balancer thinks of an API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendHealth {
    /// It answers that it is ready.
    Ready,
    /// Nobody has asked it yet.
    #[default]
    Unknown,
    /// It answers that it is not ready.
    NotReady,
    /// It does not answer, or not with a certificate of the cluster.
    Unreachable,
}
