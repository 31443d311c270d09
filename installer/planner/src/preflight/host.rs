//! The host itself: rights, programs, address, ports that are taken.

use slipway_api::{Finding, Role};

use super::Subject;
use super::probes::{ETCD_PORTS, local_etcd};

/// Ports that a control-plane node listens on.
const CONTROL_PLANE_PORTS: [u16; 4] = [6443, 10250, 10257, 10259];
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
    if !facts.software.has_systemd {
        found.push(subject.error(
            "InitSystem",
            "systemd does not run this host",
            "kubelet and container runtime are installed as units of systemd",
            "boot the host with systemd: `ps -p 1` shows what runs it now",
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
    check_programs(subject, found);
    for path in &facts.noexec {
        found.push(subject.error(
            "NoExec",
            format!("{path} is on a file system mounted noexec"),
            "programs that are installed there cannot be started",
            format!("`mount -o remount,exec \"$(findmnt -no TARGET -T {path})\"`, and take `noexec` out of /etc/fstab"),
        ));
    }
    check_selinux(subject, found);
    check_ports(subject, found);
}

fn check_programs(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let facts = subject.facts;
    let loads_modules = !facts.overlay || !facts.bridge_netfilter;
    for program in &facts.missing_programs {
        let id = format!("FileExisting-{program}");
        let seen = format!("{program} is in no folder of the path");
        let install = |package: &str| {
            format!(
                "`apt-get install {package}` or `dnf install {package}`, whichever the host has"
            )
        };
        match program.as_str() {
            "modprobe" if !loads_modules => {}
            "modprobe" => found.push(subject.error(
                &id,
                seen,
                "Slipway loads the kernel modules that are missing with it",
                install("kmod"),
            )),
            "ip" => found.push(subject.warning(
                &id,
                seen,
                "`reset` removes the links of pods with it",
                "`apt-get install iproute2` or `dnf install iproute`, whichever the host has",
            )),
            "cp" => found.push(subject.error(
                &id,
                seen,
                "kubeadm's upgrades call it",
                install("coreutils"),
            )),
            _ => found.push(subject.error(
                &id,
                seen,
                "the kubelet calls it for volumes",
                install("util-linux mount"),
            )),
        }
    }
}

fn check_selinux(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some(selinux) = subject.facts.software.selinux.as_ref() else {
        return;
    };
    if !selinux.is_enforcing {
        return;
    }
    if selinux.has_container_policy {
        found.push(subject.warning(
            "SELinux",
            "SELinux is enforcing",
            "the containerd that Slipway installs gives containers no labels, and the policy may forbid what they do",
            "if pods fail with `permission denied`, look at `ausearch -m avc -ts recent`; `setenforce 0` shows whether SELinux is the reason",
        ));
    } else {
        found.push(subject.error(
            "SELinux",
            "SELinux is enforcing without a policy for containers",
            "containers may not read files of the host, so that no control plane starts",
            "`dnf install container-selinux`, or `setenforce 0` and `SELINUX=permissive` in /etc/selinux/config",
        ));
    }
}

fn check_ports(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.belongs_to_cluster() {
        return;
    }
    let has_etcd = local_etcd(subject.spec).is_some();
    let (ports, etcd_ports): (&[u16], &[u16]) = match subject.host.role {
        Role::ControlPlane if has_etcd => (&CONTROL_PLANE_PORTS, &ETCD_PORTS),
        Role::ControlPlane => (&CONTROL_PLANE_PORTS, &[]),
        Role::Worker => (&WORKER_PORTS, &[]),
    };
    for port in ports.iter().chain(etcd_ports) {
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
