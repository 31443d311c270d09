//! Sets of addresses, as `ipset` lists them.

/// Returns the sets of `ipset list -n` whose names begin with one of `prefixes`.
pub(crate) fn our_sets(names: &str, prefixes: &[String]) -> Vec<String> {
    let is_ours = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    names
        .lines()
        .map(str::trim)
        .filter(is_ours)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::our_sets;

    #[test]
    fn only_kube_proxy_s_sets_are_named() {
        let names = "blocklist\nKUBE-LOOP-BACK\nKUBE-6-CLUSTER-IP\nMY-KUBE-SET\n";
        let sets = our_sets(names, &["KUBE-".to_owned()]);
        assert_eq!(sets, ["KUBE-LOOP-BACK", "KUBE-6-CLUSTER-IP"]);
    }
}
