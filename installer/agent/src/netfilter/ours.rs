//! Tells Kubernetes' chains from everybody else's.
//!
//! `KUBE-` and `FLANNEL-` are nobody else's prefixes. `CNI-` is shared by all
//! who use the CNI plugins, podman 3 and nerdctl among them: those chains are
//! told apart by the network's name, which the plugins write into comments.
//! netavark (podman 4 and later) has `NETAVARK-` and is never meant.

use std::collections::BTreeSet;

use super::Table;

/// Chains that portmap makes once a host and shares between all networks.
/// Source: `plugins/meta/portmap/portmap_iptables.go` of the CNI plugins.
const HOST_PORT_CHAINS: [&str; 4] = [
    "CNI-HOSTPORT-DNAT",
    "CNI-HOSTPORT-SNAT",
    "CNI-HOSTPORT-SETMARK",
    "CNI-HOSTPORT-MASQ",
];

/// Beginnings of the chains that portmap makes for one container.
const CONTAINER_CHAINS: [&str; 2] = ["CNI-DN-", "CNI-SN-"];

/// Whose chains are Kubernetes'.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ours {
    /// Beginnings that only Kubernetes' chains have.
    pub prefixes: Vec<String>,
    /// Chains of the networks that Kubernetes uses.
    pub network_chains: BTreeSet<String>,
    /// Whether no other network on this host uses portmap.
    pub owns_host_ports: bool,
}

impl Ours {
    /// Returns the chains of `table` that are Kubernetes'.
    pub fn chains_in<'a>(&self, table: &'a Table) -> BTreeSet<&'a str> {
        let names = || table.chains.iter().map(|chain| chain.name.as_str());
        let is_used_by_others = names().any(|name| {
            CONTAINER_CHAINS.iter().any(|start| name.starts_with(start))
                && !self.network_chains.contains(name)
        });
        names()
            .filter(|name| {
                if HOST_PORT_CHAINS.contains(name) {
                    return self.owns_host_ports && !is_used_by_others;
                }
                self.network_chains.contains(*name)
                    || self.prefixes.iter().any(|start| name.starts_with(start))
            })
            .collect()
    }
}

/// Returns the chains that CNI plugins made for `networks`, told by the
/// comments of the rules in them and of those that lead to them.
pub(crate) fn chains_of_networks(tables: &[Table], networks: &[String]) -> BTreeSet<String> {
    let marks: Vec<String> = networks
        .iter()
        .map(|network| format!("name: \"{network}\""))
        .collect();
    let is_of_network = |comment: &String| marks.iter().any(|mark| comment.contains(mark));
    tables
        .iter()
        .flat_map(|table| &table.rules)
        .filter(|rule| rule.comment.as_ref().is_some_and(is_of_network))
        .flat_map(|rule| std::iter::once(&rule.chain).chain(&rule.target))
        .filter(|name| name.starts_with("CNI-") && !HOST_PORT_CHAINS.contains(&name.as_str()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::parse_iptables;

    /// A host where podman 3 (network `podman`) and Kubernetes (network `cbr0`)
    /// both publish ports.
    const SHARED: &str = "\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:CNI-DN-1111 - [0:0]
:CNI-DN-2222 - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:CNI-aaaa - [0:0]
:NETAVARK-HOSTPORT-DNAT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -s 10.88.0.5/32 -m comment --comment \"name: \\\"podman\\\" id: \\\"x\\\"\" -j CNI-aaaa
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment \"dnat name: \\\"podman\\\" id: \\\"x\\\"\" -j CNI-DN-1111
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment \"dnat name: \\\"cbr0\\\" id: \\\"y\\\"\" -j CNI-DN-2222
-A CNI-DN-1111 -p tcp -j DNAT --to-destination 10.88.0.5:80
-A CNI-DN-2222 -p tcp -j DNAT --to-destination 10.244.1.5:80
COMMIT
";

    fn chains(text: &str, owns_host_ports: bool) -> Vec<String> {
        let tables = parse_iptables(text, "ip");
        let ours = Ours {
            prefixes: vec!["KUBE-".to_owned(), "FLANNEL-".to_owned()],
            network_chains: chains_of_networks(&tables, &["cbr0".to_owned()]),
            owns_host_ports,
        };
        ours.chains_in(&tables[0])
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn podman_s_chains_stay_beside_kubernetes_own() {
        assert_eq!(chains(SHARED, true), ["CNI-DN-2222"]);
    }

    #[test]
    fn the_shared_chains_go_once_nobody_else_uses_them() {
        let alone: String = SHARED
            .lines()
            .filter(|line| !line.contains("1111"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let all = [
            "CNI-DN-2222",
            "CNI-HOSTPORT-DNAT",
            "CNI-HOSTPORT-MASQ",
            "CNI-HOSTPORT-SETMARK",
        ];
        assert_eq!(chains(&alone, true), all);
        assert_eq!(chains(&alone, false), ["CNI-DN-2222"]);
    }
}
