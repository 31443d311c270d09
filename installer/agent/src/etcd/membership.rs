//! Who belongs to etcd: listing, adding, promoting and removing members.

use etcd_client::MemberAddOptions;
use slipway_api::{EtcdMember, EtcdMemberId};

use super::{EtcdClient, EtcdError};

impl EtcdClient {
    /// Returns the members as this member knows them: it answers without a quorum too, and
    /// one that is cut off or behind tells what was.
    ///
    /// # Errors
    /// The member does not answer.
    pub async fn members(&self) -> Result<Vec<EtcdMember>, EtcdError> {
        let mut client = self.client.cluster_client();
        let answer = self
            .call("list etcd's members", client.member_list())
            .await?;
        Ok(answer.members().iter().map(member).collect())
    }

    /// Returns the members as a quorum agrees on them at this moment.
    ///
    /// # Errors
    /// There is no quorum, the member is a learner, or it does not answer.
    pub async fn agreed_members(&self) -> Result<Vec<EtcdMember>, EtcdError> {
        // Before it answers a linearizable read, a member has applied everything that was
        // committed when it was asked, changes of members included.
        self.check_health().await?;
        self.members().await
    }

    /// Adds a member without a vote, which is reached at `peer_urls`.
    ///
    /// # Errors
    /// etcd refuses: there is a learner already, or a member with these URLs; or there is no
    /// quorum.
    pub async fn add_learner(&self, peer_urls: &[String]) -> Result<EtcdMember, EtcdError> {
        let mut client = self.client.cluster_client();
        let options = MemberAddOptions::new().with_is_learner();
        let asked = client.member_add(peer_urls.to_vec(), Some(options));
        let answer = self.call("add a learner to etcd", asked).await?;
        let added = answer.member().map(member);
        added.ok_or_else(|| {
            let nothing = etcd_client::Error::Internal("it names no member".to_owned());
            EtcdError::refused("add a learner to etcd", &self.endpoint, &nothing)
        })
    }

    /// Gives a learner its vote.
    ///
    /// # Errors
    /// [`EtcdError::is_not_caught_up`] where it has not yet what the leader has; or etcd refuses.
    pub async fn promote(&self, id: EtcdMemberId) -> Result<(), EtcdError> {
        let mut client = self.client.cluster_client();
        let asked = client.member_promote(id.number());
        self.call("promote an etcd learner", asked).await.map(drop)
    }

    /// Lets another voter lead; this connection must be to the leader.
    ///
    /// # Errors
    /// This member does not lead, or the other does not take over in time.
    pub async fn move_leader(&self, to: EtcdMemberId) -> Result<(), EtcdError> {
        let mut client = self.client.maintenance_client();
        let asked = client.move_leader(to.number());
        self.call("hand etcd's lead over", asked).await.map(drop)
    }

    /// Removes a member and returns those that remain. One that is not there is removed already.
    ///
    /// # Errors
    /// etcd refuses, or there is no quorum.
    pub async fn remove(&self, id: EtcdMemberId) -> Result<Vec<EtcdMember>, EtcdError> {
        let mut client = self.client.cluster_client();
        let asked = client.member_remove(id.number());
        match self.call("remove an etcd member", asked).await {
            Ok(answer) => Ok(answer.members().iter().map(member).collect()),
            Err(error) if error.is_no_such_member() => self.agreed_members().await,
            Err(error) => Err(error),
        }
    }
}

fn member(member: &etcd_client::Member) -> EtcdMember {
    EtcdMember {
        id: EtcdMemberId::new(member.id()),
        name: member.name().to_owned(),
        peer_urls: member.peer_urls().to_vec(),
        client_urls: member.client_urls().to_vec(),
        is_learner: member.is_learner(),
    }
}
