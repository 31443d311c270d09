//! The language of `nft`: its JSON lists, and scripts for it.

use serde_json::Value;

use super::{Chain, Removal, Rule, Table};

/// Returns the tables of `nft -j list ruleset`; none where that is no such list.
pub(crate) fn parse_nft(text: &str) -> Option<Vec<Table>> {
    let list: Value = serde_json::from_str(text).ok()?;
    let mut tables: Vec<Table> = Vec::new();
    for item in list.get("nftables")?.as_array()? {
        let Some((kind, body)) = item.as_object().and_then(|item| item.iter().next()) else {
            continue;
        };
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        if kind == "table" {
            tables.push(Table {
                family: text("family"),
                name: text("name"),
                ..Table::default()
            });
            continue;
        }
        let (family, name) = (text("family"), text("table"));
        let table = tables
            .iter_mut()
            .find(|table| table.family == family && table.name == name);
        match (table, kind.as_str()) {
            (Some(table), "chain") => table.chains.push(Chain {
                name: text("name"),
                is_plain_hook: body["hook"].is_string() && body["policy"] == "accept",
            }),
            (Some(table), "rule") => table.rules.push(Rule {
                chain: text("chain"),
                target: target(&body["expr"]),
                comment: body["comment"].as_str().map(str::to_owned),
                reference: body["handle"].to_string(),
            }),
            (Some(table), _) => table.has_objects = true,
            (None, _) => {}
        }
    }
    Some(tables)
}

/// Returns the chain that a rule's expressions lead to.
fn target(expressions: &Value) -> Option<String> {
    expressions.as_array()?.iter().find_map(|expression| {
        let verdict = expression.get("jump").or_else(|| expression.get("goto"))?;
        verdict["target"].as_str().map(str::to_owned)
    })
}

/// Returns what to feed to `nft -f`, which does all of it or nothing. Hooks
/// that would be left empty go too, and tables with nothing else, as they came:
/// `iptables-nft` makes them with their first rule.
pub(crate) fn removal_script(removals: &[Removal<'_>], whole_tables: &[String]) -> String {
    let mut script = String::new();
    for removal in removals {
        let table = format!("{} {}", removal.table.family, removal.table.name);
        if removal.leaves_nothing {
            script.push_str(&format!("delete table {table}\n"));
            continue;
        }
        for jump in &removal.jumps {
            let (chain, handle) = (&jump.chain, &jump.reference);
            script.push_str(&format!("delete rule {table} {chain} handle {handle}\n"));
        }
        for verb in ["flush", "delete"] {
            for chain in &removal.chains {
                script.push_str(&format!("{verb} chain {table} {chain}\n"));
            }
        }
        for hook in &removal.emptied {
            script.push_str(&format!("delete chain {table} {hook}\n"));
        }
    }
    for table in whole_tables {
        script.push_str(&format!("delete table {table}\n"));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::Ours;

    /// Printed by nft 1.0.6 after `iptables-nft` had made the rules.
    const LIST: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "ip", "name": "nat", "handle": 1}},
        {"chain": {"family": "ip", "table": "nat", "name": "KUBE-SERVICES", "handle": 1}},
        {"chain": {"family": "ip", "table": "nat", "name": "PREROUTING", "handle": 2, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}},
        {"rule": {"family": "ip", "table": "nat", "chain": "KUBE-SERVICES", "handle": 5, "expr": [{"return": null}]}},
        {"rule": {"family": "ip", "table": "nat", "chain": "PREROUTING", "handle": 3, "expr": [{"xt": {"type": "match", "name": "comment"}}, {"counter": {"packets": 0, "bytes": 0}}, {"jump": {"target": "KUBE-SERVICES"}}]}}FOREIGN]}"#;
    const FOREIGN: &str = r#",
        {"rule": {"family": "ip", "table": "nat", "chain": "PREROUTING", "handle": 4, "expr": [{"xt": {"type": "match", "name": "comment"}}, {"accept": null}]}}"#;

    fn script(list: &str) -> String {
        let tables = parse_nft(list).unwrap();
        let ours = Ours {
            prefixes: vec!["KUBE-".to_owned()],
            ..Ours::default()
        };
        let removals: Vec<_> = tables
            .iter()
            .filter_map(|table| table.removal(&ours))
            .collect();
        removal_script(&removals, &["ip kube-proxy".to_owned()])
    }

    #[test]
    fn a_foreign_rule_keeps_its_table() {
        assert_eq!(
            script(&LIST.replace("FOREIGN", FOREIGN)),
            "delete rule ip nat PREROUTING handle 3\nflush chain ip nat KUBE-SERVICES\n\
             delete chain ip nat KUBE-SERVICES\ndelete table ip kube-proxy\n"
        );
    }

    #[test]
    fn a_table_that_holds_nothing_else_goes_whole() {
        assert_eq!(
            script(&LIST.replace("FOREIGN", "")),
            "delete table ip nat\ndelete table ip kube-proxy\n"
        );
    }

    #[test]
    fn a_set_of_somebody_else_keeps_its_table() {
        let set = r#", {"set": {"family": "ip", "name": "mine", "table": "nat", "type": "ipv4_addr", "handle": 9}}"#;
        assert!(!script(&LIST.replace("FOREIGN", set)).contains("delete table ip nat"));
    }
}
