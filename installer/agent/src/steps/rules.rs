//! Netfilter chains that kube-proxy, the kubelet and CNI plugins made.
//!
//! Only whole chains with our prefixes go, and the rules that jump to them;
//! every other rule stays as it is. Both backends are looked at, since a host
//! may hold rules of either.

use std::collections::BTreeSet;
use std::time::Duration;

use slipway_api::Check;
use slipway_api::step::RemoveRules;

use super::needed;
use crate::context::Context;
use crate::{AgentError, command};

/// The program pairs that list and restore rules, by backend and family.
const BACKENDS: [(&str, &str); 4] = [
    ("iptables-nft-save", "iptables-nft-restore"),
    ("ip6tables-nft-save", "ip6tables-nft-restore"),
    ("iptables-legacy-save", "iptables-legacy-restore"),
    ("ip6tables-legacy-save", "ip6tables-legacy-restore"),
];

/// What Kubernetes' chains begin with.
const CHAIN_PREFIXES: [&str; 3] = ["KUBE-", "CNI-", "FLANNEL-"];

/// How long listing all rules may take where nobody waits for a step.
const GLANCE_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn check_rules(step: &RemoveRules) -> Result<Check, AgentError> {
    let mut found = BTreeSet::new();
    for (save, _) in BACKENDS {
        let rules = command::run(save, &[]).await.unwrap_or_default();
        found.extend(our_chains(&rules, &step.chain_prefixes));
    }
    Ok(needed(
        (!found.is_empty()).then(|| format!("{} chains are there", found.len())),
    ))
}

pub(super) async fn apply_rules(step: &RemoveRules, context: &Context) -> Result<(), AgentError> {
    for (save, restore) in BACKENDS {
        let rules = command::run(save, &[]).await.unwrap_or_default();
        let script = removal_script(&rules, &step.chain_prefixes);
        if script.is_empty() {
            continue;
        }
        let folder = context.at(slipway_api::paths::STATE_DIR);
        let file = folder.join(format!("rules-{}", crate::files::nonce()));
        crate::files::write(&file, 0o600, script.as_bytes())?;
        let path = file.to_string_lossy();
        // `--noflush` leaves everything alone that the script does not name. No
        // `--wait`: iptables-restore takes the file's name for its argument then,
        // and succeeds without having read anything.
        let restored = command::run(restore, &["--noflush", &path]).await;
        let _ = std::fs::remove_file(&file);
        restored?;
    }
    Ok(())
}

/// Returns how many chains of Kubernetes are there. The legacy backend is asked
/// only where it has tables: the question alone would make them.
pub(crate) async fn count_chains() -> u32 {
    let prefixes = CHAIN_PREFIXES.map(str::to_owned);
    let has_tables =
        |list: &str| std::fs::read_to_string(list).is_ok_and(|tables| !tables.trim().is_empty());
    let has_legacy = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]
        .into_iter()
        .any(has_tables);
    let mut found = BTreeSet::new();
    for (save, _) in BACKENDS {
        if save.contains("legacy") && !has_legacy {
            continue;
        }
        let rules = command::glance(save, &[], GLANCE_LIMIT).await;
        found.extend(our_chains(&rules, &prefixes));
    }
    u32::try_from(found.len()).unwrap_or(u32::MAX)
}

fn is_ours(chain: &str, prefixes: &[String]) -> bool {
    prefixes
        .iter()
        .any(|prefix| chain.starts_with(prefix.as_str()))
}

fn our_chains(rules: &str, prefixes: &[String]) -> Vec<String> {
    rules
        .lines()
        .filter_map(|line| line.strip_prefix(':')?.split(' ').next())
        .filter(|chain| is_ours(chain, prefixes))
        .map(str::to_owned)
        .collect()
}

/// Returns what to feed to `iptables-restore --noflush` so that our chains and
/// the jumps to them go; empty where there are none.
fn removal_script(rules: &str, prefixes: &[String]) -> String {
    let mut script = String::new();
    for table in rules.split_inclusive("COMMIT\n") {
        let chains = our_chains(table, prefixes);
        let Some(header) = table.lines().find(|line| line.starts_with('*')) else {
            continue;
        };
        if chains.is_empty() {
            continue;
        }
        let jumps = table.lines().filter(|line| {
            let mut words = line
                .split(' ')
                .skip_while(|word| *word != "-j" && *word != "-g");
            let target = words.nth(1).unwrap_or("");
            let chain = line
                .strip_prefix("-A ")
                .and_then(|rest| rest.split(' ').next());
            chain.is_some_and(|chain| !is_ours(chain, prefixes)) && is_ours(target, prefixes)
        });
        script.push_str(header);
        script.push('\n');
        for jump in jumps {
            script.push_str(&format!("-D {}\n", jump.trim_start_matches("-A ")));
        }
        chains
            .iter()
            .for_each(|chain| script.push_str(&format!("-F {chain}\n")));
        chains
            .iter()
            .for_each(|chain| script.push_str(&format!("-X {chain}\n")));
        script.push_str("COMMIT\n");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_chains_and_the_jumps_to_them_go() {
        let rules = "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n:KUBE-SERVICES - [0:0]\n\
                     -A PREROUTING -m comment --comment \"a b\" -j KUBE-SERVICES\n\
                     -A PREROUTING -j DOCKER\n-A KUBE-SERVICES -j RETURN\nCOMMIT\n\
                     *filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
        let script = removal_script(rules, &["KUBE-".to_owned()]);
        assert_eq!(
            script,
            "*nat\n-D PREROUTING -m comment --comment \"a b\" -j KUBE-SERVICES\n\
             -F KUBE-SERVICES\n-X KUBE-SERVICES\nCOMMIT\n"
        );
    }

    #[test]
    fn a_host_without_our_chains_gets_no_script() {
        let rules = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
        assert_eq!(removal_script(rules, &["KUBE-".to_owned()]), "");
    }
}
