//! What must differ from host to host: names and hardware identities.

use std::collections::BTreeMap;

use slipway_api::{ClusterSpec, Facts, Finding, HostFacts, HostName, Severity};

use super::finding;

/// What clones of one machine image share.
const CLONED: &str =
    "hosts that were cloned from one image share it, and Kubernetes takes them for one machine";

pub(super) fn check(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    let hosts: Vec<(&HostName, &HostFacts)> = spec
        .hosts
        .iter()
        .filter_map(|host| Some((&host.name, facts.host(&host.name)?)))
        .collect();
    let in_container = hosts.iter().all(|(_, facts)| facts.container.is_some());
    let by = |key: &dyn Fn(&HostFacts) -> Vec<String>| {
        let mut groups: BTreeMap<String, Vec<&HostName>> = BTreeMap::new();
        for (name, facts) in &hosts {
            for value in key(facts) {
                let names = groups.entry(value).or_default();
                if !names.contains(name) {
                    names.push(name);
                }
            }
        }
        groups.retain(|_, names| names.len() > 1);
        groups
    };
    let identities: [(&str, &str, &dyn Fn(&HostFacts) -> Vec<String>, &str); 4] = [
        (
            "Hostname",
            "host name",
            &|facts| vec![facts.hostname.clone()],
            "hostnamectl set-hostname NAME",
        ),
        (
            "MachineID",
            "machine-id",
            &|facts| facts.machine_id.iter().cloned().collect(),
            "rm /etc/machine-id && systemd-machine-id-setup",
        ),
        (
            "ProductUUID",
            "product_uuid",
            &|facts| facts.product_uuid.iter().cloned().collect(),
            "give each virtual machine an identity of its own in the hypervisor",
        ),
        (
            "MACAddress",
            "hardware address",
            // Links that software makes may share addresses: only real ones count.
            &|facts| {
                let is_own = |name: &str| {
                    !["cni", "flannel", "veth", "docker", "br-"]
                        .iter()
                        .any(|p| name.starts_with(p))
                };
                facts
                    .links
                    .iter()
                    .filter(|link| is_own(&link.name))
                    .filter_map(|link| link.mac.clone())
                    .collect()
            },
            "give each virtual machine a hardware address of its own in the hypervisor",
        ),
    ];
    for (id, what, key, help) in identities {
        for (value, names) in by(key) {
            // Containers of one machine see its DMI table: nothing they could change.
            let severity = if id == "ProductUUID" && in_container {
                Severity::Warning
            } else {
                Severity::Error
            };
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let seen = format!("{} have the {what} {value}", names.join(", "));
            found.push(finding(id, severity, None, seen, CLONED, help));
        }
    }
}
