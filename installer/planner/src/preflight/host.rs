//! The host itself: rights, programs, addresses, what is on it already.

use slipway_api::{Finding, Role};

use super::Subject;

/// Ports that a control-plane node listens on, with their users.
const CONTROL_PLANE_PORTS: [u16; 6] = [6443, 10250, 10257, 10259, 2379, 2380];
/// Ports that a worker node listens on.
const WORKER_PORTS: [u16; 1] = [10250];

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    if !facts.is_root {
        found.push(subject.error(
            "IsPrivilegedUser",
            "the agent does not run as root",
            "installing units, kernel modules and containers needs root",
            "set `sudo: true` for this host, or log in as root",
        ));
    }
    if let Some(expected) = subject
        .host
        .architecture
        .filter(|arch| *arch != facts.architecture)
    {
        found.push(subject.error(
            "Architecture",
            format!(
                "the host is {}, the file says {expected}",
                facts.architecture
            ),
            "binaries for another architecture do not run",
            "correct `arch` in the file, or leave it out",
        ));
    }
    for program in &facts.missing_programs {
        found.push(subject.error(
            &format!("FileExisting-{program}"),
            format!("{program} is in no folder of the path"),
            "the kubelet calls it",
            format!("install the package that has {program}: mount, util-linux or coreutils"),
        ));
    }
    for path in &facts.noexec {
        found.push(subject.error(
            "NoExec",
            format!("{path} is on a file system mounted noexec"),
            "programs that are installed there cannot be started",
            format!("mount -o remount,exec the file system that holds {path}"),
        ));
    }
    let has_address = facts
        .links
        .iter()
        .any(|link| link.addresses.contains(&subject.host.node_ip));
    if !has_address {
        found.push(subject.error(
            "NodeAddress",
            format!("no network link has the address {}", subject.host.node_ip),
            "other nodes reach this one under the address it advertises; behind NAT (10.0.2.15 on many VMs) they cannot",
            "set `internalAddress` to an address from `ip address` that other hosts reach",
        ));
    }
    check_ports(subject, found);
    check_existing(subject, found);
}

fn check_ports(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.belongs_to_cluster() {
        return;
    }
    let ports: &[u16] = match subject.host.role {
        Role::ControlPlane => &CONTROL_PLANE_PORTS,
        Role::Worker => &WORKER_PORTS,
    };
    for port in ports {
        let listener = subject
            .facts
            .listening
            .iter()
            .find(|listener| listener.port == *port);
        if let Some(listener) = listener {
            let program = listener.program.as_deref().unwrap_or("another program");
            found.push(subject.error(
                &format!("Port-{port}"),
                format!("{program} listens on TCP port {port}"),
                "a component of Kubernetes needs this port",
                format!("stop it: `ss -ltnp 'sport = :{port}'` shows the process"),
            ));
        }
    }
}

fn check_existing(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let existing = &subject.facts.existing;
    if subject.belongs_to_cluster() {
        return;
    }
    if let Some(other) = &existing.slipway_cluster {
        found.push(subject.error(
            "OtherCluster",
            format!("the host belongs to the cluster {other}"),
            "a host is a node of one cluster only",
            format!(
                "take it out of {other} first: `slipway reset -f {other}.yaml --host {}`",
                subject.host.name
            ),
        ));
        return;
    }
    let why = "it belongs to a cluster that Slipway did not make here";
    let help = "if nothing needs it any more: `kubeadm reset` on the host";
    for manifest in &existing.manifests {
        let id = format!("FileAvailable--etc-kubernetes-manifests-{manifest}");
        found.push(subject.error(
            &id,
            format!("/etc/kubernetes/manifests/{manifest} is there"),
            why,
            help,
        ));
    }
    if existing.kubelet_conf {
        let id = "FileAvailable--etc-kubernetes-kubelet.conf";
        found.push(subject.error(id, "/etc/kubernetes/kubelet.conf is there", why, help));
    }
    if existing.etcd_data && subject.host.role == Role::ControlPlane {
        let id = "DirAvailable--var-lib-etcd";
        found.push(subject.error(id, "/var/lib/etcd is not empty", why, help));
    }
}
