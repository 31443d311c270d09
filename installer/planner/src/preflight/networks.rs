//! The host's addresses and routes against the subnets of pods and Services.

use std::net::IpAddr;

use ipnet::IpNet;
use slipway_api::{Finding, Route};

use super::Subject;

/// Links that belong to pods: their routes are the cluster's own.
const POD_LINKS: [&str; 2] = ["cni0", "flannel.1"];

/// What is said of subnets that somebody else uses.
const OVERLAP: &str =
    "packets for those addresses go to pods or Services, and the others cannot be reached any more";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    check_address(subject, found);
    check_service_route(subject, found);
    check_overlaps(subject, found);
}

fn check_address(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let missing = subject
        .host
        .node_ips()
        .filter(|ip| !subject.has_address(ip));
    for missing in missing {
        found.push(subject.error(
            "NodeAddress",
            format!("no network link has the address {missing}"),
            "other nodes reach this one under the address it advertises; behind NAT (10.0.2.15 on many VMs) they cannot",
            "set `internalAddress` to an address from `ip address` that other hosts reach",
        ));
    }
}

/// A ClusterIP is looked up in the routes before it is rewritten: without any
/// route to it, host-network pods get "network is unreachable".
fn check_service_route(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let subnets = subject.spec.networking.service_subnet.iter();
    for subnet in subnets.filter(|subnet| !has_route(&subject.facts.routes, subnet)) {
        let mut finding = subject.error(
            "ServiceRoute",
            format!("no route covers the Service subnet {subnet}"),
            "host-network pods and the kubelet cannot reach Services without one",
            "add a default route, or let `slipway preflight --fix` add one on a dummy link",
        );
        finding.fixable = true;
        found.push(finding);
    }
}

fn check_overlaps(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let networking = &subject.spec.networking;
    let pods = networking.pod_subnet.iter();
    let services = networking.service_subnet.iter();
    let subnets = pods
        .map(|subnet| ("pod", "podSubnet", subnet))
        .chain(services.map(|subnet| ("Service", "serviceSubnet", subnet)));
    for (what, field, subnet) in subnets {
        let help = format!(
            "set `spec.networking.{field}` to a subnet that is free; `ip route` shows what is used"
        );
        // A node's routes into the pods' subnet are its network addon's.
        let routes = match what {
            "pod" if subject.belongs_to_cluster() => &[][..],
            _ => &subject.facts.routes[..],
        };
        for route in routes.iter().filter(|route| is_foreign(route)) {
            let destination = &route.destination;
            let seen = format!(
                "the route to {destination} through {} overlaps the {what} subnet {subnet}",
                route.link
            );
            if subnet.contains(destination) {
                found.push(subject.error("NetworkOverlap", seen, OVERLAP, help.clone()));
            } else if destination.contains(&subnet) && is_connected(subject, route) {
                found.push(subject.warning("NetworkOverlap", seen, OVERLAP, help.clone()));
            }
        }
        for server in &subject.facts.resolver.nameservers {
            let is_inside = server
                .parse::<IpAddr>()
                .is_ok_and(|address| subnet.contains(&address));
            if is_inside {
                found.push(subject.error(
                    "NetworkOverlap",
                    format!("the name server {server} lies in the {what} subnet {subnet}"),
                    OVERLAP,
                    help.clone(),
                ));
            }
        }
    }
}

/// A default route overlaps everything and disturbs nobody.
fn is_foreign(route: &Route) -> bool {
    route.destination.prefix_len() > 0 && !POD_LINKS.contains(&route.link.as_str())
}

/// Returns whether the link itself is in the network, so that there are neighbours.
fn is_connected(subject: &Subject<'_>, route: &Route) -> bool {
    let links = &subject.facts.links;
    links
        .iter()
        .filter(|link| link.name == route.link)
        .flat_map(|link| &link.addresses)
        .any(|address| route.destination.contains(address))
}

impl Subject<'_> {
    fn has_address(&self, ip: &IpAddr) -> bool {
        let links = &self.facts.links;
        links.iter().any(|link| link.addresses.contains(ip))
    }
}

/// Returns whether some route leads to all of `subnet`.
pub(crate) fn has_route(routes: &[Route], subnet: &IpNet) -> bool {
    routes
        .iter()
        .any(|route| route.destination.contains(subnet))
}
