//! The subnets of pods and Services: kubeadm's rules, and what must not overlap.

use std::net::IpAddr;

use ipnet::IpNet;

use super::given::Given;
use super::host::HostDraft;
use super::problems::{Located, Place, Problems};
use super::value::Value;
use crate::spec::{ControlPlaneComponent, Endpoint, InvalidSubnets, Subnets};

/// kubeadm's `MinimumAddressesInServiceSubnet` is 10: 16 addresses at least.
const SERVICE_MIN_HOST_BITS: u8 = 4;
/// kubeadm's `MaximumBitsForServiceSubnet`.
const SERVICE_MAX_HOST_BITS: u8 = 20;
/// kubeadm's `PodSubnetNodeMaskMaxDiff`.
const POD_MAX_NODE_BITS: u8 = 16;

/// One subnet or two, and where the file names them.
#[derive(Clone, Debug)]
pub(super) struct SubnetsDraft {
    /// The field's name.
    pub name: &'static str,
    /// The subnets.
    pub subnets: Subnets,
    /// Their place; none for the default.
    pub place: Option<Place>,
}

impl SubnetsDraft {
    /// Returns what is given, or else the default; none for what could not be read.
    pub fn new(name: &'static str, given: Given<Subnets>, default: IpNet) -> Option<Self> {
        let (subnets, place) = match given {
            Given::Unreadable => return None,
            Given::Absent => (Subnets::single(default), None),
            Given::Value(found) => (found.value, Some(found.place)),
        };
        Some(Self {
            name,
            subnets,
            place,
        })
    }

    fn origin(&self) -> &'static str {
        match self.place {
            Some(_) => "",
            None => " (the default)",
        }
    }
}

/// How large a part of the pod subnet each node takes: the flags of
/// kube-controller-manager.
pub(super) struct NodeMasks {
    ipv4: u8,
    ipv6: u8,
}

impl NodeMasks {
    /// Returns what the flags say; none where nodes take no part of it.
    pub fn of(controller_manager: &ControlPlaneComponent) -> Option<Self> {
        let arguments = &controller_manager.extra_args;
        let value = |name: &str| {
            let found = arguments.iter().rfind(|argument| argument.name == name);
            found.map(|argument| argument.value.as_str())
        };
        let mask = |name: &str, default| {
            let given = value(name).or_else(|| value("node-cidr-mask-size"));
            given.and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        (value("allocate-node-cidrs") != Some("false")).then(|| Self {
            ipv4: mask("node-cidr-mask-size-ipv4", 24),
            ipv6: mask("node-cidr-mask-size-ipv6", 64),
        })
    }
}

/// Returns the subnets in `value`.
pub(super) fn read_subnets(value: &Value<'_>, problems: &mut Problems) -> Option<Subnets> {
    let text = value.text(problems)?;
    let help = match text.parse() {
        Ok(subnets) => return Some(subnets),
        Err(InvalidSubnets::NoSubnet(_)) => {
            "write an address and a prefix length: `10.244.0.0/16`".to_owned()
        }
        Err(InvalidSubnets::Address(subnet)) => format!("write `{}`", subnet.trunc()),
        Err(InvalidSubnets::NotDualStack(_)) => {
            "for dual stack write one of each family: `10.244.0.0/16,fd00:10:244::/56`".to_owned()
        }
    };
    if let Err(error) = text.parse::<Subnets>() {
        problems.report(&value.place, error.to_string(), help);
    }
    None
}

/// Reports subnets of a size that kubeadm and the API server refuse.
pub(super) fn check_sizes(
    pods: Option<&SubnetsDraft>,
    services: Option<&SubnetsDraft>,
    masks: Option<&NodeMasks>,
    hosts: &[HostDraft],
    problems: &mut Problems,
) {
    if let Some(services) = services {
        for subnet in services.subnets.iter() {
            check_service_size(services, subnet, problems);
        }
    }
    if let (Some(pods), Some(masks)) = (pods, masks) {
        for subnet in pods.subnets.iter() {
            check_pod_size(pods, subnet, masks, hosts, problems);
        }
    }
    // Services of a family that no pod has lead nowhere.
    if let (Some(pods), Some(services)) = (pods, services)
        && ((services.subnets.has_ipv4() && !pods.subnets.has_ipv4())
            || (services.subnets.has_ipv6() && !pods.subnets.has_ipv6()))
        && let Some(place) = services.place.as_ref().or(pods.place.as_ref())
    {
        problems.report(
            place,
            format!(
                "podSubnet {} and serviceSubnet {} are of different IP families",
                pods.subnets, services.subnets
            ),
            "give both as IPv4, both as IPv6, or both as one of each",
        );
    }
}

fn check_service_size(draft: &SubnetsDraft, subnet: IpNet, problems: &mut Problems) {
    let Some(place) = &draft.place else { return };
    let width = subnet.max_prefix_len();
    let host_bits = width - subnet.prefix_len();
    if host_bits < SERVICE_MIN_HOST_BITS {
        let longest = width - SERVICE_MIN_HOST_BITS;
        problems.report(
            place,
            format!("the service subnet {subnet} is too small: it has fewer than 10 addresses"),
            format!("use a prefix length of at most {longest}"),
        );
    } else if host_bits > SERVICE_MAX_HOST_BITS {
        let shortest = width - SERVICE_MAX_HOST_BITS;
        problems.report(
            place,
            format!("the service subnet {subnet} is too large for the API server"),
            format!("use a prefix length of at least {shortest}"),
        );
    }
}

fn check_pod_size(
    draft: &SubnetsDraft,
    subnet: IpNet,
    masks: &NodeMasks,
    hosts: &[HostDraft],
    problems: &mut Problems,
) {
    let node_prefix = if is_ipv4(subnet) {
        masks.ipv4
    } else {
        masks.ipv6
    };
    let Some(node_bits) = node_prefix.checked_sub(subnet.prefix_len()) else {
        if let Some(place) = &draft.place {
            problems.report(
                place,
                format!(
                    "the pod subnet {subnet} is too small: each node takes a /{node_prefix} of it"
                ),
                format!("use a prefix length of at most {node_prefix}"),
            );
        }
        return;
    };
    if node_bits > POD_MAX_NODE_BITS {
        if let Some(place) = &draft.place {
            problems.report(
                place,
                format!("the pod subnet {subnet} is too large"),
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
            draft.place.as_ref().unwrap_or(&first_without.place),
            format!(
                "the pod subnet {subnet} has room for {nodes} nodes, and the file has {} hosts",
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
    pods: Option<&SubnetsDraft>,
    services: Option<&SubnetsDraft>,
    hosts: &[HostDraft],
    endpoint: Option<&Located<Endpoint>>,
    problems: &mut Problems,
) {
    if let (Some(pods), Some(services)) = (pods, services)
        && pods.subnets.iter().any(|pods| {
            services
                .subnets
                .iter()
                .any(|services| overlap(pods, services))
        })
        && let Some(place) = services.place.as_ref().or(pods.place.as_ref())
    {
        problems.report(
            place,
            format!(
                "serviceSubnet {}{} overlaps podSubnet {}{}",
                services.subnets,
                services.origin(),
                pods.subnets,
                pods.origin()
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
    for draft in [pods, services].into_iter().flatten() {
        for (ip, place) in &addresses {
            let Some(subnet) = draft.subnets.iter().find(|subnet| subnet.contains(ip)) else {
                continue;
            };
            problems.report(
                place,
                format!("`{ip}` lies in {} {subnet}{}", draft.name, draft.origin()),
                format!(
                    "set `spec.networking.{}` to a subnet that no host's network uses",
                    draft.name
                ),
            );
        }
    }
    for draft in [pods, services].into_iter().flatten() {
        check_families(draft, hosts, problems);
    }
}

/// Reports nodes whose address is of another family than the first subnet: the
/// API server refuses such Services, and pods would not reach the node.
fn check_families(draft: &SubnetsDraft, hosts: &[HostDraft], problems: &mut Problems) {
    // With both families among the pods either may come first.
    if draft.name == "podSubnet" && draft.subnets.has_ipv4() && draft.subnets.has_ipv6() {
        return;
    }
    // A default says nothing that the other subnet does not say better.
    if draft.name == "serviceSubnet" && draft.place.is_none() {
        return;
    }
    for node_ip in hosts.iter().filter_map(HostDraft::node_ip) {
        if node_ip.value.is_ipv4() != is_ipv4(draft.subnets.first()) {
            problems.report(
                &node_ip.place,
                format!(
                    "the node's address {} and {} {}{} are of different IP families",
                    node_ip.value,
                    draft.name,
                    draft.subnets,
                    draft.origin()
                ),
                "give `internalAddress` and the subnets in the same family",
            );
        }
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
