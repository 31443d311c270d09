//! The command line that starts a host's container.

use std::net::Ipv4Addr;

use crate::engine::LAB_LABEL;
use crate::machine::Machine;
use crate::{Engine, EngineKind};

/// One container to start.
#[derive(Clone, Debug)]
pub(crate) struct HostContainer<'a> {
    pub(crate) lab: &'a str,
    pub(crate) container: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) image: &'a str,
    /// The volume for /var; without one, /var is on the container's own file system.
    pub(crate) volume: Option<&'a str>,
    /// The network and the address in it; without one, loopback only.
    pub(crate) network: Option<(&'a str, Ipv4Addr)>,
}

/// Returns the arguments that start a host.
///
/// Podman's own systemd mode stays off: on cgroup v1 it mounts this machine's
/// root of the `name=systemd` hierarchy into every container, so that all hosts
/// share one `kubepods.slice` and kubelets cannot remove their pods' cgroups.
/// With a private cgroup namespace alone each host sees its own.
pub(crate) fn host_arguments(
    engine: &Engine,
    host: &HostContainer<'_>,
    machine: &Machine,
) -> Vec<String> {
    let mut args: Vec<String> = vec!["run".into(), "-d".into()];
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), value.to_owned()]);
    add("--name", host.container);
    add("--hostname", host.hostname);
    add("--label", &format!("{LAB_LABEL}={}", host.lab));
    add("--label", &format!("{LAB_LABEL}.host={}", host.hostname));
    if let Some(runtime) = &engine.runtime {
        add("--runtime", runtime);
    }
    add("--cgroupns", "private");
    // systemd reads it to know that it is not on bare hardware.
    add("--env", &format!("container={}", engine.kind.program()));
    add("--stop-signal", "SIGRTMIN+3");
    // A reboot inside ends the first process by a signal; a crash by `kill` is not restarted.
    add("--restart", "on-failure");
    add("--tmpfs", "/run:rw,nosuid,nodev,exec,mode=755");
    add("--tmpfs", "/run/lock:rw,nosuid,nodev,noexec,mode=1777");
    add("--tmpfs", "/tmp:rw,nosuid,nodev,exec,mode=1777");
    if let Some(limits) = machine.limits {
        let (files, processes) = (limits.open_files, limits.processes);
        add("--ulimit", &format!("nofile={files}:{files}"));
        add("--ulimit", &format!("nproc={processes}:{processes}"));
    }
    if machine.has_module_files {
        add("--volume", "/lib/modules:/lib/modules:ro");
    }
    match (host.volume, engine.kind) {
        // Podman mounts volumes nosuid and nodev; a disk under /var is neither.
        (Some(volume), EngineKind::Podman) => {
            add("--volume", &format!("{volume}:/var:exec,suid,dev"));
        }
        (Some(volume), EngineKind::Docker) => add("--volume", &format!("{volume}:/var")),
        (None, EngineKind::Podman | EngineKind::Docker) => {}
    }
    match host.network {
        Some((network, address)) => {
            add("--network", network);
            add("--ip", &address.to_string());
            // Kept across restarts, as hardware keeps it: neighbours remember addresses for half a minute.
            add("--mac-address", &hardware_address(address));
            if engine.kind == EngineKind::Docker {
                add("--dns", &address.to_string());
            }
        }
        None => add("--network", "none"),
    }
    args.push("--privileged".to_owned());
    if engine.kind == EngineKind::Podman {
        // The host's own /etc/hosts and /etc/resolv.conf, ordinary files, are used.
        args.extend(["--systemd=false", "--no-hosts"].map(str::to_owned));
        if host.network.is_some() {
            args.push("--dns=none".to_owned());
        }
    }
    args.extend([host.image.to_owned(), "/sbin/init".to_owned()]);
    args
}

/// Returns a locally administered hardware address, unique because the IP address is.
fn hardware_address(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:4c:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Limits;

    fn machine(limits: Option<Limits>) -> Machine {
        Machine {
            has_cgroup_v1: true,
            has_swap: false,
            is_short_of_disk: false,
            has_module_files: false,
            limits,
        }
    }

    fn engine(kind: EngineKind, runtime: Option<&str>) -> Engine {
        let runtime = runtime.map(str::to_owned);
        Engine { kind, runtime }
    }

    fn host() -> HostContainer<'static> {
        HostContainer {
            lab: "dev",
            container: "slipway-dev-w-1",
            hostname: "w-1",
            image: "localhost/x:1",
            volume: Some("slipway-dev-w-1-var"),
            network: Some(("slipway-dev", Ipv4Addr::new(10, 77, 1, 21))),
        }
    }

    #[test]
    fn podman_starts_a_host_with_its_own_cgroups_limits_address_and_volume() {
        let limits = Limits {
            open_files: 20_000,
            processes: 32_768,
        };
        let podman = engine(EngineKind::Podman, Some("runc"));
        let text = host_arguments(&podman, &host(), &machine(Some(limits))).join(" ");
        for part in [
            "--runtime runc",
            "--cgroupns private",
            "--systemd=false",
            "--ulimit nofile=20000:20000 --ulimit nproc=32768:32768",
            "--volume slipway-dev-w-1-var:/var:exec,suid,dev",
            "--network slipway-dev --ip 10.77.1.21 --mac-address 02:4c:0a:4d:01:15",
            "--label slipway.lab=dev",
            "--dns=none",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.ends_with("localhost/x:1 /sbin/init"));
    }

    #[test]
    fn limits_are_left_to_the_engine_where_they_can_be_raised() {
        let podman = engine(EngineKind::Podman, None);
        let text = host_arguments(&podman, &host(), &machine(None)).join(" ");
        assert!(
            !text.contains("--ulimit") && !text.contains("--runtime"),
            "{text}"
        );
    }

    #[test]
    fn docker_gets_no_flag_that_only_podman_knows() {
        let docker = engine(EngineKind::Docker, None);
        let text = host_arguments(&docker, &host(), &machine(None)).join(" ");
        for flag in ["--systemd", "--no-hosts", "--dns=none", "exec,suid,dev"] {
            assert!(!text.contains(flag), "{flag} in {text}");
        }
        assert!(text.contains("--privileged") && text.contains("--dns 10.77.1.21"));
    }
}
