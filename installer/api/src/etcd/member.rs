//! A member as the cluster lists it.

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
    /// Returns whether it has ever started.
    pub fn has_started(&self) -> bool {
        !self.name.is_empty()
    }
}
