//! How many members vote, and how many of those must answer.

use super::EtcdFacts;

/// The members that have a vote, and those of them that are healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdVotes {
    /// How many have a vote.
    pub voters: usize,
    /// How many of them are healthy.
    pub healthy: usize,
}

impl EtcdVotes {
    /// Returns how many of the voters must be healthy.
    pub const fn quorum(self) -> usize {
        self.voters / 2 + 1
    }

    /// Returns whether etcd takes writes, and changes of its members.
    pub const fn has_quorum(self) -> bool {
        self.healthy >= self.quorum()
    }

    /// Returns the votes once a voter is removed.
    pub const fn without(self, is_healthy: bool) -> Self {
        Self {
            voters: self.voters.saturating_sub(1),
            healthy: self.healthy.saturating_sub(is_healthy as usize),
        }
    }
}

impl EtcdFacts {
    /// Returns the votes.
    pub fn votes(&self) -> EtcdVotes {
        EtcdVotes {
            voters: self.voters().count(),
            healthy: self.voters().filter(|it| it.failure.is_none()).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_member_may_go_while_the_others_can_do_without_it() {
        let all = EtcdVotes {
            voters: 3,
            healthy: 3,
        };
        assert!(all.without(true).has_quorum());
        assert!(all.without(true).without(true).has_quorum());
        let one_is_dead = EtcdVotes {
            voters: 3,
            healthy: 2,
        };
        assert!(one_is_dead.has_quorum());
        assert!(!one_is_dead.without(true).has_quorum());
        assert!(one_is_dead.without(false).has_quorum());
    }
}
