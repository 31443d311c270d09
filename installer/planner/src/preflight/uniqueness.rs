//! What must differ from host to host: names and hardware identities.

use std::collections::BTreeMap;

use slipway_api::{ClusterSpec, Facts, Finding, HostFacts, HostName, Severity};

use super::finding;

/// What clones of one machine image share.
const CLONED: &str =
    "hosts that were cloned from one image share it, and Kubernetes takes them for one machine";

/// Something that no two hosts may have in common.
struct Identity {
    id: &'static str,
    what: &'static str,
    of: fn(&HostFacts) -> Vec<String>,
    help: &'static str,
}

const IDENTITIES: [Identity; 4] = [
    Identity {
        id: "Hostname",
        what: "host name",
        of: |facts| vec![facts.hostname.clone()],
        help: "hostnamectl set-hostname NAME",
    },
    Identity {
        id: "MachineID",
        what: "machine-id",
        of: |facts| facts.machine_id.iter().cloned().collect(),
        help: "rm /etc/machine-id && systemd-machine-id-setup",
    },
    Identity {
        id: "ProductUUID",
        what: "product_uuid",
        of: |facts| facts.product_uuid.iter().cloned().collect(),
        help: "give each virtual machine an identity of its own in the hypervisor",
    },
    Identity {
        id: "MACAddress",
        what: "hardware address",
        of: hardware_addresses,
        help: "give each virtual machine a hardware address of its own in the hypervisor",
    },
];

pub(super) fn check(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    let hosts: Vec<(&HostName, &HostFacts)> = spec
        .hosts
        .iter()
        .filter_map(|host| Some((&host.name, facts.host(&host.name)?)))
        .collect();
    let in_container = hosts.iter().all(|(_, facts)| facts.container.is_some());
    for identity in IDENTITIES {
        for (value, names) in shared(&hosts, identity.of) {
            // Containers of one machine see its DMI table: nothing they could change.
            let severity = if identity.id == "ProductUUID" && in_container {
                Severity::Warning
            } else {
                Severity::Error
            };
            let seen = format!("{} have the {} {value}", names.join(", "), identity.what);
            found.push(finding(
                identity.id,
                severity,
                None,
                seen,
                CLONED,
                identity.help,
            ));
        }
    }
}

/// Returns the values that several hosts have, with those hosts.
fn shared<'a>(
    hosts: &[(&'a HostName, &HostFacts)],
    values_of: fn(&HostFacts) -> Vec<String>,
) -> BTreeMap<String, Vec<&'a str>> {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, facts) in hosts {
        for value in values_of(facts) {
            let names = groups.entry(value).or_default();
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
    }
    groups.retain(|_, names| names.len() > 1);
    groups
}

/// Returns the addresses of real links: those that software makes may share theirs.
fn hardware_addresses(facts: &HostFacts) -> Vec<String> {
    let is_made = |name: &str| {
        ["cni", "flannel", "veth", "docker", "br-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    facts
        .links
        .iter()
        .filter(|link| !is_made(&link.name))
        .filter_map(|link| link.mac.clone())
        .collect()
}
