//! A firewall that is at work, and the commands that open it.

use slipway_api::{Cni, Finding, HostFacts, Role};

use super::Subject;

/// flannel's VXLAN port, UDP.
pub(super) const VXLAN_PORT: u16 = 8472;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some(firewall) = &subject.facts.software.firewall else {
        return;
    };
    let mut ports = match subject.host.role {
        Role::ControlPlane => vec!["6443/tcp", "2379-2380/tcp", "10250/tcp"],
        Role::Worker => vec!["10250/tcp"],
    };
    let vxlan = format!("{VXLAN_PORT}/udp");
    if subject.spec.networking.cni == Cni::Flannel {
        ports.push(&vxlan);
    }
    found.push(subject.warning(
        "Firewalld",
        format!("{firewall} is active"),
        &format!(
            "nodes must reach {} of this one, and pods each other",
            ports.join(", ")
        ),
        open_command(subject.facts, &ports),
    ));
}

/// Returns the command that opens ports such as `6443/tcp` on a host.
pub(super) fn open_command(facts: &HostFacts, ports: &[&str]) -> String {
    match facts.software.firewall.as_deref() {
        Some("firewalld") => {
            let add: Vec<String> = ports
                .iter()
                .map(|port| format!("--add-port={port}"))
                .collect();
            format!(
                "`firewall-cmd --permanent {} && firewall-cmd --reload`",
                add.join(" ")
            )
        }
        Some("ufw") => {
            let allow: Vec<String> = ports
                .iter()
                .map(|port| format!("ufw allow {}", port.replace('-', ":")))
                .collect();
            format!("`{}`", allow.join(" && "))
        }
        Some(_) | None => format!(
            "let {} through: `nft list ruleset` or `iptables-save` shows the host's own rules, and there may be a firewall or security group between the hosts",
            ports.join(", ")
        ),
    }
}
