//! etcd as its members describe it.

mod alarm;
mod facts;
mod member;
mod member_id;
mod member_status;
mod snapshot;
mod votes;

pub use alarm::{EtcdAlarm, EtcdAlarmKind};
pub use facts::{EtcdFacts, EtcdMemberFacts};
pub use member::EtcdMember;
pub use member_id::{EtcdMemberId, InvalidEtcdMemberId};
pub use member_status::EtcdMemberStatus;
pub use snapshot::{EtcdSnapshotKept, EtcdSnapshotLine, EtcdSnapshotSummary};
pub use votes::EtcdVotes;
