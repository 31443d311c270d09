//! Alarms: while one is raised, etcd takes no writes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EtcdMemberId;

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcdAlarmKind {
    /// A member's database has reached its quota.
    NoSpace,
    /// A member's data differs from the others'.
    Corrupt,
}

impl fmt::Display for EtcdAlarmKind {
    /// Writes the alarm as etcdctl does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        })
    }
}

/// An alarm that a member has raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdAlarm {
    /// The member.
    pub member: EtcdMemberId,
    /// What it is about.
    pub kind: EtcdAlarmKind,
}
