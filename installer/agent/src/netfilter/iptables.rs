//! The language of `iptables-save` and `iptables-restore`.

use super::{Chain, Removal, Rule, Table};

/// Returns the tables that a save program printed.
pub(crate) fn parse_iptables(text: &str, family: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(Table {
                family: family.to_owned(),
                name: name.to_owned(),
                ..Table::default()
            });
            continue;
        }
        let Some(table) = tables.last_mut() else {
            continue;
        };
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split(' ');
            table.chains.push(Chain {
                name: words.next().unwrap_or_default().to_owned(),
                is_plain_hook: words.next() == Some("ACCEPT"),
            });
        } else if let Some(rule) = line.strip_prefix("-A ") {
            table.rules.push(parse_rule(rule));
        }
    }
    tables
}

fn parse_rule(specification: &str) -> Rule {
    let words = words(specification);
    let after = |flags: &[&str]| {
        let is_flag = |word: &String| flags.contains(&word.as_str());
        let flag = words.iter().position(is_flag)?;
        words.get(flag + 1).cloned()
    };
    Rule {
        chain: words.first().cloned().unwrap_or_default(),
        target: after(&["-j", "-g"]),
        comment: after(&["--comment"]),
        reference: specification.to_owned(),
    }
}

/// Splits at blanks; what is quoted stays together, its quotes and escapes undone.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => words
                .last_mut()
                .expect("one word is always there")
                .extend(characters.next()),
            ' ' if !is_quoted => words.push(String::new()),
            other => words
                .last_mut()
                .expect("one word is always there")
                .push(other),
        }
    }
    words
}

/// Returns what to feed to `iptables-restore --noflush`.
pub(crate) fn removal_script(removals: &[Removal<'_>]) -> String {
    let mut script = String::new();
    for removal in removals {
        script.push_str(&format!("*{}\n", removal.table.name));
        for jump in &removal.jumps {
            script.push_str(&format!("-D {}\n", jump.reference));
        }
        for verb in ["-F", "-X"] {
            for chain in &removal.chains {
                script.push_str(&format!("{verb} {chain}\n"));
            }
        }
        script.push_str("COMMIT\n");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::Ours;

    fn ours() -> Ours {
        Ours {
            prefixes: vec!["KUBE-".to_owned()],
            ..Ours::default()
        }
    }

    #[test]
    fn only_our_chains_and_the_jumps_to_them_go() {
        let rules = "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n:KUBE-SERVICES - [0:0]\n\
                     -A PREROUTING -m comment --comment \"a b\" -j KUBE-SERVICES\n\
                     -A PREROUTING -m comment --comment \"not -j KUBE-SERVICES\" -j ACCEPT\n\
                     -A PREROUTING -j DOCKER\n-A KUBE-SERVICES -j RETURN\nCOMMIT\n\
                     *filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
        let tables = parse_iptables(rules, "ip");
        let removals: Vec<_> = tables
            .iter()
            .filter_map(|table| table.removal(&ours()))
            .collect();
        assert_eq!(
            removal_script(&removals),
            "*nat\n-D PREROUTING -m comment --comment \"a b\" -j KUBE-SERVICES\n\
             -F KUBE-SERVICES\n-X KUBE-SERVICES\nCOMMIT\n"
        );
        assert!(!removals[0].leaves_nothing);
    }

    #[test]
    fn a_host_without_our_chains_loses_nothing() {
        let tables = parse_iptables("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "ip");
        assert_eq!(tables[0].removal(&ours()), None);
    }

    #[test]
    fn a_table_that_drops_by_policy_is_not_nothing() {
        let text = |policy| {
            format!("*filter\n:INPUT {policy} [0:0]\n:KUBE-X - [0:0]\n-A INPUT -j KUBE-X\nCOMMIT\n")
        };
        for (policy, leaves_nothing) in [("ACCEPT", true), ("DROP", false)] {
            let tables = parse_iptables(&text(policy), "ip");
            let removal = tables[0].removal(&ours()).unwrap();
            assert_eq!(removal.leaves_nothing, leaves_nothing, "{policy}");
        }
    }
}
