//! One netfilter table: chains, rules, and what goes of it.

use std::collections::BTreeSet;

use super::Ours;

/// A table of one backend and family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// `ip`, `ip6`, `inet`, …
    pub family: String,
    /// Its name, for example `nat`.
    pub name: String,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// The rules of all its chains.
    pub rules: Vec<Rule>,
    /// Whether it holds something else: sets, maps, counters.
    pub has_objects: bool,
}

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chain {
    /// Its name.
    pub name: String,
    /// Whether the kernel sends packets to it by itself and it lets them pass at its end.
    pub is_plain_hook: bool,
}

/// A rule, as far as it matters whose it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// The chain it is in.
    pub chain: String,
    /// The chain or target it leads to.
    pub target: Option<String>,
    /// Its comment.
    pub comment: Option<String>,
    /// How its backend names it: the specification of iptables, the handle of nft.
    pub reference: String,
}

/// What goes of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Removal<'a> {
    /// The table.
    pub table: &'a Table,
    /// The chains that go with all their rules.
    pub chains: BTreeSet<&'a str>,
    /// The rules of other chains that lead to those.
    pub jumps: Vec<&'a Rule>,
    /// Hooks that held nothing but those rules.
    pub emptied: BTreeSet<&'a str>,
    /// Whether nothing would be left but hooks without rules.
    pub leaves_nothing: bool,
}

impl Table {
    /// Returns what goes of the table; none where nothing in it is ours.
    pub fn removal(&self, ours: &Ours) -> Option<Removal<'_>> {
        let chains = ours.chains_in(self);
        if chains.is_empty() {
            return None;
        }
        let stays = |rule: &&Rule| !chains.contains(rule.chain.as_str());
        let leads_to_ours =
            |rule: &&Rule| matches!(&rule.target, Some(to) if chains.contains(to.as_str()));
        let (jumps, staying): (Vec<&Rule>, Vec<&Rule>) =
            self.rules.iter().filter(stays).partition(leads_to_ours);
        let emptied: BTreeSet<&str> = self
            .chains
            .iter()
            .filter(|chain| chain.is_plain_hook)
            .map(|chain| chain.name.as_str())
            .filter(|name| jumps.iter().any(|rule| rule.chain == *name))
            .filter(|name| staying.iter().all(|rule| rule.chain != *name))
            .collect();
        let mut staying_chains = self
            .chains
            .iter()
            .filter(|chain| !chains.contains(chain.name.as_str()));
        let leaves_nothing = !self.has_objects
            && staying.is_empty()
            && staying_chains.all(|chain| chain.is_plain_hook);
        Some(Removal {
            table: self,
            chains,
            jumps,
            emptied,
            leaves_nothing,
        })
    }
}
