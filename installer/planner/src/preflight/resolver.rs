//! The resolver that pods are given.

use std::net::IpAddr;

use slipway_api::{Finding, Probe, ProbeOutcome};

use super::Subject;
use super::kernel::kubelet_setting;

/// The kubelet's limits; what is more is cut off. Source: `pkg/apis/core/validation`.
const MAX_NAMESERVERS: usize = 3;
/// The same for search domains.
const MAX_SEARCHES: usize = 32;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for (probe, outcome) in subject.outcomes() {
        check_name(subject, probe, outcome, found);
    }
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
    for (probe, outcome) in subject.outcomes() {
        if let Probe::AskNameServer { address } = probe
            && *outcome != ProbeOutcome::Answered
        {
            found.push(subject.warning(
                "DNS",
                format!("the name server {address} does not answer"),
                "CoreDNS sends it everything that is not the cluster's own, and pods wait in vain",
                format!("take it out of {file}, or let UDP port 53 through to it; `nslookup kubernetes.io {address}` tries it"),
            ));
        }
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

/// A name that the host's own programs do not know.
fn check_name(
    subject: &Subject<'_>,
    probe: &Probe,
    outcome: &ProbeOutcome,
    found: &mut Vec<Finding>,
) {
    let Probe::ResolveName { name } = probe else {
        return;
    };
    if !matches!(outcome, ProbeOutcome::Resolved { addresses } if addresses.is_empty()) {
        return;
    }
    let seen = format!("{name} resolves to no address on the host");
    let endpoint = subject.spec.control_plane_endpoint.as_ref();
    if endpoint.is_some_and(|endpoint| endpoint.host == *name) {
        found.push(subject.error(
            "ControlPlaneEndpoint",
            seen,
            "kubelets and kubeconfigs reach the API under this name",
            format!(
                "add {name} to the DNS, or a line `ADDRESS {name}` to /etc/hosts of every host"
            ),
        ));
    } else {
        found.push(subject.warning(
            "Hostname",
            seen,
            "programs that look up their own node's name wait for DNS and fail",
            format!("`echo '{} {name}' >> /etc/hosts`", subject.host.node_ip),
        ));
    }
}
