//! How large packets get from host to host, against what their links promise.

use std::collections::BTreeMap;

use slipway_api::{ClusterSpec, Facts, Finding, HostName, Probe, ProbeOutcome, Severity};

use super::probes::{SMALL, link_mtu};
use super::{few, finding};

/// What VXLAN puts around a packet: Ethernet, IP, UDP and its own header.
const VXLAN_OVERHEAD: u32 = 50;

pub(super) fn check(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    for host in &spec.hosts {
        let Some(probes) = facts.probes.get(&host.name) else {
            continue;
        };
        let mtu = facts
            .host(&host.name)
            .and_then(|facts| link_mtu(facts, host.node_ip));
        let Some(mtu) = mtu else { continue };
        let mut short: BTreeMap<u32, Vec<&HostName>> = BTreeMap::new();
        for (probe, outcome) in &probes.outcomes {
            if let Some((to, largest)) = shortened(facts, &host.name, probe, outcome) {
                short.entry(largest).or_default().push(to);
            }
        }
        for (largest, to) in short {
            let pods = largest.saturating_sub(VXLAN_OVERHEAD);
            found.push(finding(
                "PathMTU",
                Severity::Error,
                Some(&host.name),
                format!(
                    "packets of more than {largest} bytes do not arrive at {}, and the link's MTU is {mtu}",
                    few(to)
                ),
                &format!("flannel takes the link's word: pods would get {} bytes where {pods} pass, and large answers vanish", mtu.saturating_sub(VXLAN_OVERHEAD)),
                format!("`ip link set dev {} mtu {largest}`, and the same in the network's configuration for the next boot", link_name(facts, host)),
            ));
        }
    }
}

/// Returns the target and the largest size that arrived, if a larger one was sent in vain.
fn shortened<'a>(
    facts: &Facts,
    from: &HostName,
    probe: &'a Probe,
    outcome: &ProbeOutcome,
) -> Option<(&'a HostName, u32)> {
    let (Probe::SendDatagrams { to, sizes, .. }, ProbeOutcome::Sent { failures }) =
        (probe, outcome)
    else {
        return None;
    };
    let was_sent = |size: &&u32| !failures.iter().any(|(failed, _)| failed == *size);
    let sent = *sizes.iter().filter(was_sent).max()?;
    let target = facts.probes.get(to)?;
    let arrived = target
        .arrivals
        .iter()
        .filter(|arrival| arrival.from == *from)
        .map(|arrival| arrival.size)
        .max()?;
    // With the small one alone nothing is known but that it arrived.
    (sent > SMALL && arrived < sent).then_some((to, arrived))
}

fn link_name<'a>(facts: &'a Facts, host: &slipway_api::HostSpec) -> &'a str {
    let links = facts.host(&host.name).map(|facts| &facts.links);
    links
        .into_iter()
        .flatten()
        .find(|link| link.addresses.contains(&host.node_ip))
        .map_or("LINK", |link| link.name.as_str())
}
