//! Gathers a host's facts: reads, never changes.

mod authorities;
mod certificates;
mod cgroups;
mod existing;
mod kernel;
mod network;
mod packages;
mod programs;
mod software;
mod space;

pub(crate) use space::space_below;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use slipway_api::{HostFacts, ResolverFacts};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::server::under;
use crate::steps::module_works;
use crate::{AgentError, command};

/// The sysctls that Kubernetes cares for.
const SYSCTLS: [&str; 6] = [
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.default.forwarding",
    "net.ipv6.conf.all.disable_ipv6",
    "fs.may_detach_mounts",
];

/// Folders with CA certificates that kubeadm mounts into static Pods where
/// they exist, beside `/etc/ssl/certs`, which it always mounts. Source:
/// `cmd/kubeadm/app/phases/controlplane/volumes.go`.
const CA_CERTIFICATE_DIRS: [&str; 5] = [
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// The resolver's usual file.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The bit of CAP_SYS_RESOURCE in a capability set.
const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// Returns the facts of this host.
///
/// # Errors
/// The processor architecture is not one that Slipway knows. Whatever else
/// cannot be read is left out of the facts.
pub(crate) async fn gather_facts(root: &Path) -> Result<HostFacts, AgentError> {
    let uname = rustix::system::uname();
    let architecture = uname.machine().to_string_lossy().parse();
    let architecture = architecture.map_err(|error: slipway_api::UnknownArchitecture| {
        AgentError::BadRequest(error.to_string())
    })?;
    let kinds = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kinds).ok();
    let read = |path: &str| std::fs::read_to_string(under(root, path)).ok();
    let trimmed = |path: &str| {
        read(path)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let routes = network::gather_routes(root);
    let links = network::gather_links(root);
    let default_route = network::default_link(&routes);
    let default_address = network::gather_default_address(&links, default_route.as_deref());
    let (runtime, kubelet, existing, software, container) = tokio::join!(
        programs::gather_runtime(root),
        programs::gather_kubelet(root),
        existing::gather_existing(root),
        software::gather_software(root),
        gather_container()
    );
    let kernel = uname.release().to_string_lossy().into_owned();
    let build = kernel::KernelBuild::read(root, &kernel);
    let resolv_conf = gather_resolv_conf(root);
    let resolver = read(resolv_conf.as_deref().unwrap_or(RESOLV_CONF)).unwrap_or_default();
    Ok(HostFacts {
        observed_at: Timestamp::now(),
        hostname: uname.nodename().to_string_lossy().into_owned(),
        architecture,
        os: parse_os_release(&read("/etc/os-release").unwrap_or_default()),
        kernel,
        cpus: system.as_ref().map_or(0, |system| {
            u32::try_from(system.cpus().len()).unwrap_or(u32::MAX)
        }),
        memory_bytes: system.as_ref().map_or(0, System::total_memory),
        swap: parse_swaps(&read("/proc/swaps").unwrap_or_default()),
        machine_id: trimmed("/etc/machine-id"),
        product_uuid: trimmed("/sys/class/dmi/id/product_uuid"),
        links,
        default_route,
        default_address,
        routes,
        cgroup_version: cgroups::version(root),
        cgroup_controllers: cgroups::controllers(root),
        kernel_options: build.options(),
        absent_modules: build.absent_modules(),
        overlay: module_works("overlay"),
        bridge_netfilter: module_works("br_netfilter"),
        sysctls: gather_sysctls(root),
        listening: network::gather_listening(),
        disks: space::gather_disks(root),
        runtime,
        kubelet,
        existing,
        missing_programs: programs::missing_programs(),
        can_raise_limits: has_sys_resource(&read("/proc/self/status").unwrap_or_default()),
        container,
        noexec: space::noexec_paths(root),
        is_root: rustix::process::geteuid().is_root(),
        resolver: ResolverFacts::parse(&resolver),
        resolv_conf,
        software,
        ca_certificate_dirs: CA_CERTIFICATE_DIRS
            .iter()
            .filter(|path| under(root, path).is_dir())
            .map(|path| (*path).to_owned())
            .collect(),
    })
}

fn gather_sysctls(root: &Path) -> BTreeMap<String, String> {
    let value = |key: &str| {
        let path = under(root, "/proc/sys").join(key.replace('.', "/"));
        std::fs::read_to_string(path)
            .ok()
            .map(|text| text.trim().to_owned())
    };
    SYSCTLS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), value(key)?)))
        .collect()
}

/// Returns the kind of container that this host is; none for a machine.
async fn gather_container() -> Option<String> {
    // It exits non-zero outside containers, printing "none".
    let kind = command::run("systemd-detect-virt", &["--container"])
        .await
        .ok()?;
    Some(kind.trim().to_owned()).filter(|kind| !kind.is_empty() && kind != "none")
}

/// Returns systemd-resolved's own file where it serves this host: the usual
/// one names the local stub, which pods cannot reach. kubeadm does the same.
fn gather_resolv_conf(root: &Path) -> Option<String> {
    let usual = std::fs::read_to_string(under(root, RESOLV_CONF)).unwrap_or_default();
    let resolved = "/run/systemd/resolve/resolv.conf";
    let is_stub = usual
        .lines()
        .any(|line| line.trim() == "nameserver 127.0.0.53");
    (is_stub && under(root, resolved).exists()).then(|| resolved.to_owned())
}

fn parse_os_release(text: &str) -> String {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("unknown").trim_matches('"').to_owned()
}

fn parse_swaps(text: &str) -> Vec<String> {
    let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
    text.lines().skip(1).filter_map(name).collect()
}

fn has_sys_resource(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    set.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .is_some_and(|set| set & CAP_SYS_RESOURCE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_has_facts() {
        let facts = gather_facts(Path::new("/")).await.unwrap();
        assert!(facts.cpus > 0 && facts.memory_bytes > 1 << 20);
        assert!(!facts.kernel.is_empty() && !facts.disks.is_empty());
    }

    #[test]
    fn the_bounding_set_tells_whether_limits_can_be_raised() {
        assert!(has_sys_resource("Name:\tx\nCapBnd:\t000001ffffffffff\n"));
        assert!(!has_sys_resource("CapBnd:\t000001fffeffffff\n"));
    }

    #[test]
    fn swap_devices_are_named() {
        let text = "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2  partition 8 0 -2\n";
        assert_eq!(parse_swaps(text), ["/dev/sda2"]);
    }
}
