//! What an earlier cluster's network left on the host, or a wrong part of this one's.

use std::net::IpAddr;

use ipnet::IpNet;
use slipway_api::{Cni, Finding, Link};

use super::Subject;
use crate::leftovers::{POD_LINKS, has_other_subnet, is_judged};
use crate::plan_cluster::pod_subnet;

/// Further links that Kubernetes and its addons make.
const OTHER_LINKS: [&str; 3] = ["kube-bridge", "kube-ipvs0", "nodelocaldns"];

/// What takes a node's wrong links away.
const CLEAN: &str = "`ip link delete cni0; ip link delete flannel.1; rm -rf /var/lib/cni /run/flannel`, \
                     and restart the node's pods";

/// What becomes of the network of a node that was given another part of the subnet.
const MOVED: &str = "nothing: the plan removes them, and the node's pods start again";

/// What becomes of an earlier cluster's network.
const REMOVED: &str = "nothing: the plan removes it";

/// Why pods get nowhere with them.
const WHY: &str = "the bridge plugin and flannel refuse links with other addresses than theirs, and no pod starts";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.spec.networking.cni != Cni::Flannel {
        return;
    }
    let mut seen = wrong_addresses(subject);
    // A node keeps its links, unless the cluster has given it another part of the subnet; on
    // any other host the plan removes them.
    if subject.facts.existing.kubelet_conf {
        match has_other_subnet(subject.facts, own_subnet(subject)) {
            _ if seen.is_empty() => {}
            true => found.push(subject.warning("Leftovers", seen.join(", "), WHY, MOVED)),
            false => found.push(subject.error("Leftovers", seen.join(", "), WHY, CLEAN)),
        }
        return;
    }
    seen.extend(traces(subject));
    if !seen.is_empty() {
        found.push(subject.warning(
            "Leftovers",
            format!("an earlier cluster left: {}", seen.join(", ")),
            "old rules and addresses lead packets of new pods astray",
            REMOVED,
        ));
    }
}

/// Returns what is said of each pods' link that has an address it cannot have:
/// outside this node's part of the pods' subnet, where that is known, else
/// outside the whole subnet.
fn wrong_addresses(subject: &Subject<'_>) -> Vec<String> {
    let whole = &subject.spec.networking.pod_subnet;
    let own = own_subnet(subject);
    let shown = own.map_or_else(|| whole.to_string(), |own| own.to_string());
    let is_inside = |address: &IpAddr| match own {
        // The cluster tells the first subnet of a dual-stack node.
        Some(own) if own.network().is_ipv4() == address.is_ipv4() => own.contains(address),
        Some(_) | None => whole.iter().any(|subnet| subnet.contains(address)),
    };
    let mut wrong = Vec::new();
    for link in links(subject, &POD_LINKS) {
        for address in link.addresses.iter().filter(|it| is_judged(it)) {
            if !is_inside(address) {
                let whose = match own {
                    Some(_) => "this node's part of the pod subnet",
                    None => "the pod subnet",
                };
                wrong.push(format!(
                    "{} has the address {address}, {whose} is {shown}",
                    link.name
                ));
            }
        }
    }
    let leftovers = &subject.facts.existing.leftovers;
    if let Some(network) = leftovers
        .flannel_network
        .filter(|network| !whole.iter().any(|subnet| subnet == *network))
    {
        wrong.push(format!(
            "/run/flannel/subnet.env names the network {network}, the file {whole}"
        ));
    }
    wrong
}

/// Returns this node's part of the pods' subnet, as the cluster says it.
fn own_subnet(subject: &Subject<'_>) -> Option<IpNet> {
    if !subject.belongs_to_cluster() {
        return None;
    }
    pod_subnet(subject.host, subject.all)
}

fn traces(subject: &Subject<'_>) -> Vec<String> {
    let leftovers = &subject.facts.existing.leftovers;
    let mut traces: Vec<String> = links(subject, &POD_LINKS)
        .chain(links(subject, &OTHER_LINKS))
        .map(|link| format!("the link {}", link.name))
        .collect();
    if leftovers.flannel_subnet.is_some() {
        traces.push("/run/flannel/subnet.env".to_owned());
    }
    if leftovers.cni_leases > 0 {
        traces.push(format!(
            "{} addresses in /var/lib/cni",
            leftovers.cni_leases
        ));
    }
    if leftovers.chains > 0 {
        traces.push(format!("{} netfilter chains", leftovers.chains));
    }
    traces
}

fn links<'a>(subject: &'a Subject<'_>, names: &[&str]) -> impl Iterator<Item = &'a Link> {
    let links = subject.facts.links.iter();
    links.filter(|link| names.contains(&link.name.as_str()))
}
