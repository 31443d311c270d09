//! etcd as one of its hosts sees it: all members, each asked by itself.

use serde::{Deserialize, Serialize};

use super::{EtcdAlarm, EtcdMember, EtcdMemberStatus};
use crate::Failure;

/// etcd as one of its hosts sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdFacts {
    /// The members.
    pub members: Vec<EtcdMemberFacts>,
    /// The alarms that are raised; none are known while there is no quorum.
    pub alarms: Vec<EtcdAlarm>,
}

/// A member, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMemberFacts {
    /// The member as the cluster lists it.
    pub member: EtcdMember,
    /// What it says of itself, where it answers.
    pub status: Option<EtcdMemberStatus>,
    /// Why it cannot serve; none where it is healthy.
    pub failure: Option<Failure>,
}

impl EtcdMemberFacts {
    /// Returns what the member is called: its name, or its ID until it has one.
    pub fn shown_name(&self) -> String {
        match self.member.name.as_str() {
            "" => self.member.id.to_string(),
            name => name.to_owned(),
        }
    }

    /// Returns whether it is the leader, as it knows.
    pub fn is_leader(&self) -> bool {
        let status = self.status.as_ref();
        status.is_some_and(|status| status.leader == Some(self.member.id))
    }
}

impl EtcdFacts {
    /// Returns the newest revision that any member has.
    pub fn newest_revision(&self) -> i64 {
        let statuses = self.members.iter().filter_map(|it| it.status.as_ref());
        statuses.map(|status| status.revision).max().unwrap_or(0)
    }

    /// Returns the members that have a vote.
    pub fn voters(&self) -> impl Iterator<Item = &EtcdMemberFacts> {
        self.members.iter().filter(|it| !it.member.is_learner)
    }
}
