//! The resolver that pods are given.

use std::net::IpAddr;

use slipway_api::Finding;

use super::Subject;
use super::kernel::kubelet_setting;

/// The kubelet's limits; what is more is cut off. Source: `pkg/apis/core/validation`.
const MAX_NAMESERVERS: usize = 3;
/// The same for search domains.
const MAX_SEARCHES: usize = 32;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    // A file of the user's own choice is not looked into.
    if kubelet_setting(subject, "resolvConf").is_some() {
        return;
    }
    let facts = subject.facts;
    let file = facts.resolv_conf.as_deref().unwrap_or("/etc/resolv.conf");
    let servers = &facts.resolver.nameservers;
    if servers.is_empty() {
        found.push(subject.warning(
            "DNS",
            format!("{file} names no name server"),
            "pods resolve the cluster's own names only",
            format!(
                "add a line `nameserver ADDRESS` to {file} if pods are to reach anything outside"
            ),
        ));
    }
    let is_loopback = |server: &&String| {
        server
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
    };
    for server in servers.iter().filter(is_loopback) {
        found.push(subject.error(
            "DNS",
            format!("{file} names the name server {server}, this host itself"),
            "inside CoreDNS's pod that is CoreDNS: it asks itself, sees the loop and ends",
            "write the real name servers to a file and name it as `resolvConf` in a KubeletConfiguration document",
        ));
    }
    let searches = &facts.resolver.searches;
    if servers.len() > MAX_NAMESERVERS || searches.len() > MAX_SEARCHES {
        found.push(subject.warning(
            "DNS",
            format!(
                "{file} has {} name servers and {} search domains",
                servers.len(),
                searches.len()
            ),
            "pods get the first 3 name servers and 32 search domains, the rest is cut off",
            format!("shorten {file}"),
        ));
    }
}
