//! A member as it describes itself.

use serde::{Deserialize, Serialize};

use super::EtcdMemberId;

/// A member of etcd as it describes itself. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMemberStatus {
    /// Its number.
    pub id: EtcdMemberId,
    /// etcd's version.
    pub version: String,
    /// The member that it takes for the leader; none where it knows of none.
    pub leader: Option<EtcdMemberId>,
    /// Whether it has no vote yet.
    pub is_learner: bool,
    /// The newest revision in its store.
    pub revision: i64,
    /// The leader's term.
    pub raft_term: u64,
    /// The newest entry that it knows to be committed.
    pub raft_index: u64,
    /// The newest entry that is in its store.
    pub raft_applied_index: u64,
    /// What its database takes on disk.
    pub db_size: u64,
    /// What of that is in use; the rest is won back by defragmenting.
    pub db_in_use: u64,
    /// How large its database may become; etcd before 3.6 does not tell.
    pub db_quota: Option<u64>,
    /// What it says is wrong with it.
    pub errors: Vec<String>,
}
