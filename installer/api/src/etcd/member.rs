//! A member as the cluster lists it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::EtcdMemberId;

/// A member of etcd as the cluster lists it, whether it runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMember {
    /// Its number.
    pub id: EtcdMemberId,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has started for the first time.
    pub client_urls: Vec<String>,
    /// Whether it has no vote yet.
    pub is_learner: bool,
}

impl EtcdMember {
    /// The port on which members reach each other.
    pub const PEER_PORT: u16 = 2380;

    /// Returns the URL under which the others reach the member of a node.
    pub fn peer_url(address: IpAddr) -> String {
        format!("https://{}", SocketAddr::new(address, Self::PEER_PORT))
    }

    /// Returns whether it is the member of a node, by its name or its address:
    /// one that has never started has no name.
    pub fn is_of(&self, node_name: &str, address: IpAddr) -> bool {
        self.name == node_name || self.peer_urls.contains(&Self::peer_url(address))
    }

    /// Returns whether it has ever started.
    pub fn has_started(&self) -> bool {
        !self.name.is_empty()
    }
}
