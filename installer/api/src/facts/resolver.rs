//! The resolver's file that pods are given.

use serde::{Deserialize, Serialize};

/// What stands in the resolver's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolverFacts {
    /// The name servers, as they are written.
    pub nameservers: Vec<String>,
    /// The search domains.
    pub searches: Vec<String>,
}

impl ResolverFacts {
    /// Parses the text of a `resolv.conf`; the last `search` or `domain` line counts.
    pub fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => facts.nameservers.extend(words.next().map(str::to_owned)),
                Some("search" | "domain") => {
                    facts.searches = words.map(str::to_owned).collect();
                }
                Some(_) | None => {}
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::ResolverFacts;

    #[test]
    fn the_last_search_line_counts_and_comments_name_nothing() {
        let text = "# nameserver 9.9.9.9\ndomain old.example\nnameserver 192.0.2.53\n\
                    nameserver fe80::1%eth0\nsearch a.example b.example\noptions ndots:2\n";
        let facts = ResolverFacts::parse(text);
        assert_eq!(facts.nameservers, ["192.0.2.53", "fe80::1%eth0"]);
        assert_eq!(facts.searches, ["a.example", "b.example"]);
    }
}
