//! Snapshots of etcd that control-plane hosts take by themselves.

use serde::{Deserialize, Serialize};

use super::CalendarExpression;

/// Snapshots of etcd that control-plane hosts take by themselves: on each of them
/// a timer runs, and the one whose member leads takes the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdSnapshots {
    /// When; `daily` by default.
    pub schedule: CalendarExpression,
    /// How many a host keeps, 7 by default.
    pub keep: u16,
    /// The folder on the hosts, for root alone.
    pub dir: String,
}
