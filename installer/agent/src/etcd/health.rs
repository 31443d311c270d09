//! How a member is: status, alarms, and giving back what its database does not need.

use std::time::Duration;

use etcd_client::{AlarmAction, AlarmOptions, AlarmType, GetOptions};
use slipway_api::{EtcdAlarm, EtcdAlarmKind, EtcdMemberId, EtcdMemberStatus};

use super::{EtcdClient, EtcdError};

/// How long writing a database anew may take: it can be eight gigabytes on a slow disk.
const DEFRAGMENT_TIMEOUT: Duration = Duration::from_secs(600);

impl EtcdClient {
    /// Returns how the member describes itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self) -> Result<EtcdMemberStatus, EtcdError> {
        let mut client = self.client.maintenance_client();
        let answer = self
            .call("ask etcd for its status", client.status())
            .await?;
        let header = answer.header();
        let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        Ok(EtcdMemberStatus {
            id: EtcdMemberId::new(header.map_or(0, |header| header.member_id())),
            version: answer.version().to_owned(),
            leader: (answer.leader() != 0).then(|| EtcdMemberId::new(answer.leader())),
            is_learner: answer.is_learner(),
            revision: header.map_or(0, |header| header.revision()),
            raft_term: answer.raft_term(),
            raft_index: answer.raft_index(),
            raft_applied_index: answer.raft_applied_index(),
            db_size: size(answer.db_size()),
            db_in_use: size(answer.raft_used_db_size()),
            db_quota: (answer.db_size_quota() > 0).then(|| size(answer.db_size_quota())),
            errors: answer.errors().to_vec(),
        })
    }

    /// Reads through a quorum, as etcdctl's `endpoint health` does.
    ///
    /// # Errors
    /// There is no quorum, the member is a learner, or it does not answer.
    pub async fn check_health(&self) -> Result<(), EtcdError> {
        let mut client = self.client.kv_client();
        // The key need not exist; nothing of it comes back.
        let options = GetOptions::new().with_count_only();
        let asked = client.get("health", Some(options));
        self.call("read from etcd", asked).await.map(drop)
    }

    /// Returns the alarms that are raised.
    ///
    /// # Errors
    /// The member does not answer.
    pub async fn alarms(&self) -> Result<Vec<EtcdAlarm>, EtcdError> {
        let mut client = self.client.maintenance_client();
        let asked = client.alarm(AlarmAction::Get, AlarmType::None, None);
        let answer = self.call("ask etcd for its alarms", asked).await?;
        let alarm = |alarm: &etcd_client::AlarmMember| {
            let kind = match alarm.alarm() {
                AlarmType::None => return None,
                AlarmType::Nospace => EtcdAlarmKind::NoSpace,
                AlarmType::Corrupt => EtcdAlarmKind::Corrupt,
            };
            let member = EtcdMemberId::new(alarm.member_id());
            Some(EtcdAlarm { member, kind })
        };
        Ok(answer.alarms().iter().filter_map(alarm).collect())
    }

    /// Ends an alarm; etcd raises it again if its cause is still there.
    ///
    /// # Errors
    /// etcd refuses, or there is no quorum.
    pub async fn disarm(&self, alarm: EtcdAlarm) -> Result<(), EtcdError> {
        let mut client = self.client.maintenance_client();
        let kind = match alarm.kind {
            EtcdAlarmKind::NoSpace => AlarmType::Nospace,
            EtcdAlarmKind::Corrupt => AlarmType::Corrupt,
        };
        let mut options = AlarmOptions::new();
        options.with_member(alarm.member.number());
        let asked = client.alarm(AlarmAction::Deactivate, kind, Some(options));
        self.call("end an alarm of etcd", asked).await.map(drop)
    }

    /// Writes the member's database anew without its holes; it answers nobody meanwhile.
    ///
    /// # Errors
    /// etcd refuses, for example for want of space.
    pub async fn defragment(&self) -> Result<(), EtcdError> {
        let mut client = self.client.maintenance_client();
        let asked = client.defragment();
        let defragmented = self.call_within(DEFRAGMENT_TIMEOUT, "defragment etcd", asked);
        defragmented.await.map(drop)
    }
}
