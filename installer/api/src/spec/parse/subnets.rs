//! The subnets of pods and Services: kubeadm's rules, and what must not overlap.

use std::net::IpAddr;

use ipnet::IpNet;

use super::host::HostDraft;
use super::problems::{Located, Place, Problems, excerpt};
use super::value::Value;
use crate::spec::Endpoint;

/// kubeadm's `MinimumAddressesInServiceSubnet` is 10: 16 addresses at least.
const SERVICE_MIN_HOST_BITS: u8 = 4;
/// kubeadm's `MaximumBitsForServiceSubnet`.
const SERVICE_MAX_HOST_BITS: u8 = 20;
/// kubeadm's `PodSubnetNodeMaskMaxDiff`.
const POD_MAX_NODE_BITS: u8 = 16;

/// A subnet, and where the file names it.
#[derive(Clone, Debug)]
pub(super) struct Subnet {
    /// The field's name.
    pub name: &'static str,
    /// The subnet.
    pub net: IpNet,
    /// Its place; none for the default.
    pub place: Option<Place>,
}

/// Returns the subnet in `value`.
pub(super) fn read_subnet(
    name: &'static str,
    value: &Value<'_>,
    problems: &mut Problems,
) -> Option<Subnet> {
    let text = value.text(problems)?;
    let mut refuse = |message: String, help: String| {
        problems.report(&value.place, message, help);
        None
    };
    if text.contains(',') {
        return refuse(
            format!("`{name}` names several subnets, which is not supported by this build yet"),
            "write one subnet, IPv4 or IPv6".to_owned(),
        );
    }
    let Ok(net) = text.parse::<IpNet>() else {
        return refuse(
            format!("`{}` is not a subnet", excerpt(text)),
            "write an address and a prefix length: `10.244.0.0/16`".to_owned(),
        );
    };
    if net != net.trunc() {
        return refuse(
            format!("`{net}` is an address inside a subnet, not the subnet itself"),
            format!("write `{}`", net.trunc()),
        );
    }
    let place = Some(value.place.clone());
    Some(Subnet { name, net, place })
}

/// Reports subnets of a size that kubeadm and the API server refuse.
pub(super) fn check_sizes(
    pods: Option<&Subnet>,
    services: Option<&Subnet>,
    hosts: &[HostDraft],
    problems: &mut Problems,
) {
    if let Some(services) = services {
        check_service_size(services, problems);
    }
    if let Some(pods) = pods {
        check_pod_size(pods, hosts, problems);
    }
    if let (Some(pods), Some(services)) = (pods, services)
        && is_ipv4(pods.net) != is_ipv4(services.net)
        && let Some(place) = services.place.as_ref().or(pods.place.as_ref())
    {
        problems.report(
            place,
            format!(
                "podSubnet {} and serviceSubnet {} are of different IP families",
                pods.net, services.net
            ),
            "give both as IPv4 or both as IPv6",
        );
    }
}

fn check_service_size(subnet: &Subnet, problems: &mut Problems) {
    let Some(place) = &subnet.place else { return };
    let width = subnet.net.max_prefix_len();
    let host_bits = width - subnet.net.prefix_len();
    if host_bits < SERVICE_MIN_HOST_BITS {
        let longest = width - SERVICE_MIN_HOST_BITS;
        problems.report(
            place,
            format!(
                "the service subnet {} is too small: it has fewer than 10 addresses",
                subnet.net
            ),
            format!("use a prefix length of at most {longest}"),
        );
    } else if host_bits > SERVICE_MAX_HOST_BITS {
        let shortest = width - SERVICE_MAX_HOST_BITS;
        problems.report(
            place,
            format!(
                "the service subnet {} is too large for the API server",
                subnet.net
            ),
            format!("use a prefix length of at least {shortest}"),
        );
    }
}

/// Each node takes a /24 (IPv4) or /64 (IPv6) of the pod subnet.
fn check_pod_size(subnet: &Subnet, hosts: &[HostDraft], problems: &mut Problems) {
    let node_prefix: u8 = if is_ipv4(subnet.net) { 24 } else { 64 };
    let Some(node_bits) = node_prefix.checked_sub(subnet.net.prefix_len()) else {
        if let Some(place) = &subnet.place {
            problems.report(
                place,
                format!(
                    "the pod subnet {} is too small: each node takes a /{node_prefix} of it",
                    subnet.net
                ),
                format!("use a prefix length of at most {node_prefix}"),
            );
        }
        return;
    };
    if node_bits > POD_MAX_NODE_BITS {
        if let Some(place) = &subnet.place {
            problems.report(
                place,
                format!("the pod subnet {} is too large", subnet.net),
                format!(
                    "use a prefix length of at least {}",
                    node_prefix - POD_MAX_NODE_BITS
                ),
            );
        }
        return;
    }
    let nodes = 1_usize << node_bits;
    if let Some(first_without) = hosts.get(nodes) {
        problems.report(
            subnet.place.as_ref().unwrap_or(&first_without.place),
            format!(
                "the pod subnet {} has room for {nodes} nodes, and the file has {} hosts",
                subnet.net,
                hosts.len()
            ),
            format!(
                "each node takes a /{node_prefix}: use a prefix length of at most {}",
                node_prefix.saturating_sub(bits_for(hosts.len()))
            ),
        );
    }
}

/// Reports subnets that overlap each other, or an address that hosts use.
pub(super) fn check_overlaps(
    pods: Option<&Subnet>,
    services: Option<&Subnet>,
    hosts: &[HostDraft],
    endpoint: Option<&Located<Endpoint>>,
    problems: &mut Problems,
) {
    if let (Some(pods), Some(services)) = (pods, services)
        && overlap(pods.net, services.net)
        && let Some(place) = services.place.as_ref().or(pods.place.as_ref())
    {
        problems.report(
            place,
            format!(
                "serviceSubnet {}{} overlaps podSubnet {}{}",
                services.net,
                origin(services),
                pods.net,
                origin(pods)
            ),
            "choose two subnets that share no address",
        );
    }
    let endpoint = endpoint.and_then(|endpoint| {
        let ip = endpoint.value.host.parse::<IpAddr>().ok()?;
        Some((ip, &endpoint.place))
    });
    let addresses: Vec<(IpAddr, &Place)> = hosts
        .iter()
        .flat_map(HostDraft::ip_addresses)
        .chain(endpoint)
        .collect();
    for subnet in [pods, services].into_iter().flatten() {
        for (ip, place) in &addresses {
            if subnet.net.contains(ip) {
                problems.report(
                    place,
                    format!(
                        "`{ip}` lies in {} {}{}",
                        subnet.name,
                        subnet.net,
                        origin(subnet)
                    ),
                    format!(
                        "set `spec.networking.{}` to a subnet that no host's network uses",
                        subnet.name
                    ),
                );
            }
        }
    }
    check_families(pods, hosts, problems);
}

fn check_families(pods: Option<&Subnet>, hosts: &[HostDraft], problems: &mut Problems) {
    let Some(pods) = pods else { return };
    for node_ip in hosts.iter().filter_map(HostDraft::node_ip) {
        if node_ip.value.is_ipv4() != is_ipv4(pods.net) {
            problems.report(
                &node_ip.place,
                format!(
                    "the node's address {} and podSubnet {}{} are of different IP families",
                    node_ip.value,
                    pods.net,
                    origin(pods)
                ),
                "give `internalAddress` and the subnets in the same family",
            );
        }
    }
}

fn origin(subnet: &Subnet) -> &'static str {
    match subnet.place {
        Some(_) => "",
        None => " (the default)",
    }
}

fn is_ipv4(net: IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}

fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

fn bits_for(count: usize) -> u8 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    u8::try_from(bits).unwrap_or(u8::MAX)
}
