//! Where a node leaves something: what is remembered before, and removed after.

use std::collections::BTreeSet;

use slipway_api::step::{
    RemovalScope, RemoveFiles, RemoveLinks, RemoveNamespaces, RemovePath, RemoveRules,
};
use slipway_api::{ClusterSpec, Etcd, ExistingCluster, HostSpec, Role, Step, paths};

use crate::balancer;
use crate::plan_fixes::ROUTE_UNIT;
use crate::{etcd_snapshots, own_files};

/// The kubelet's unit.
pub(crate) const KUBELET_UNIT: &str = "kubelet.service";
/// The unit of the runtime that Slipway installs.
pub(crate) const CONTAINERD_UNIT: &str = "containerd.service";

/// The name of flannel's network in its CNI configuration.
const NETWORK: &str = "cbr0";
/// flannel's CNI configuration.
const CNI_CONFIG: &str = "10-flannel.conflist";
/// flannel's own state, until the next boot.
const FLANNEL_RUN_DIR: &str = "/run/flannel";

/// Kernel modules, which kube-proxy's pod mounts: containerd makes the folder on
/// hosts that have none.
const MODULES_DIR: &str = "/lib/modules";

/// Links that Kubernetes' addons make, and the bridge that flannel delegates to.
pub(crate) const LINKS: [&str; 5] = [
    "cni0",
    "flannel.1",
    "flannel-v6.1",
    "kube-ipvs0",
    "nodelocaldns",
];
/// The link that kube-proxy's ipvs mode puts Service addresses on.
const VIRTUAL_SERVER_LINK: &str = "kube-ipvs0";

/// Tables of kube-proxy's nftables mode and of flannel's.
const TABLES: [&str; 4] = [
    "ip kube-proxy",
    "ip6 kube-proxy",
    "ip flannel-ipv4",
    "ip6 flannel-ipv6",
];

/// What the CNI plugins' archive 1.9.1 has, and the plugin that flannel's pod brings.
const CNI_PLUGINS: [&str; 21] = [
    "LICENSE",
    "README.md",
    "bandwidth",
    "bridge",
    "dhcp",
    "dummy",
    "firewall",
    "flannel",
    "host-device",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tap",
    "tuning",
    "vlan",
    "vrf",
];

/// What kubeadm's layout has in [`paths::KUBERNETES_DIR`]. A user's other
/// files, such as an audit policy, stay.
const KUBERNETES_FILES: [&str; 6] = [
    "admin.conf",
    "super-admin.conf",
    "controller-manager.conf",
    "scheduler.conf",
    "manifests",
    "tmp",
];

/// What kubeadm's layout has in [`paths::PKI_DIR`], each with and without its key.
const PKI_FILES: [&str; 24] = [
    "ca.crt",
    "ca.key",
    "apiserver.crt",
    "apiserver.key",
    "apiserver-kubelet-client.crt",
    "apiserver-kubelet-client.key",
    "apiserver-etcd-client.crt",
    "apiserver-etcd-client.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "front-proxy-client.crt",
    "front-proxy-client.key",
    "sa.key",
    "sa.pub",
    "etcd/ca.crt",
    "etcd/ca.key",
    "etcd/server.crt",
    "etcd/server.key",
    "etcd/peer.crt",
    "etcd/peer.key",
    "etcd/healthcheck-client.crt",
    "etcd/healthcheck-client.key",
    "ca.srl",
    "etcd/ca.srl",
];

/// What CNI and its plugins remember of our network.
const CNI_STATE: [&str; 5] = [
    "networks/cbr0",
    "flannel",
    "results/cbr0-*",
    "cache/results/cbr0-*",
    "cache/cbr0-*",
];

/// Programs of the runtime that Slipway installs.
const RUNTIME_PROGRAMS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];

/// Folders that the node's programs make or fill.
const FOLDERS: [&str; 12] = [
    "/opt/cni",
    paths::CNI_BIN_DIR,
    "/etc/cni",
    paths::CNI_CONF_DIR,
    paths::CNI_STATE_DIR,
    paths::KUBERNETES_DIR,
    paths::KUBELET_DIR,
    "/usr/libexec/kubernetes",
    MODULES_DIR,
    "/var/log/pods",
    "/var/log/containers",
    "/etc/systemd/system/kubelet.service.d",
];

/// Folders that the runtime makes or fills.
const RUNTIME_FOLDERS: [&str; 5] = [
    "/etc/containerd",
    paths::CONTAINERD_DIR,
    paths::CONTAINERD_RUN_DIR,
    "/opt/containerd",
    "/run/nri",
];

/// Returns what is remembered before anything is installed.
pub(crate) fn remembered(
    spec: &ClusterSpec,
    host: &HostSpec,
    is_balanced: bool,
    with_runtime: bool,
) -> Vec<String> {
    let role = host.role;
    let mut found: Vec<String> = FOLDERS.map(str::to_owned).to_vec();
    found.extend(own_files::remembered(host));
    found.extend(etcd_dir(spec, role).map(str::to_owned));
    if is_balanced && role == Role::Worker {
        found.extend(balancer::remembered());
    }
    if role == Role::ControlPlane && spec.etcd_snapshots.is_some() {
        found.extend(etcd_snapshots::remembered());
    }
    let mut groups = vec![cni_plugins(), programs(role), units(&["kubelet"])];
    if with_runtime {
        found.extend(RUNTIME_FOLDERS.map(str::to_owned));
        groups.extend([
            runtime_programs(),
            units(&["containerd"]),
            runtime_files(spec),
        ]);
    }
    let paths_of = |group: RemoveFiles| {
        let path = move |name: &String| format!("{}/{name}", group.folder);
        group.names.iter().map(path).collect::<Vec<_>>()
    };
    found.extend(groups.into_iter().flat_map(paths_of));
    found
}

/// Returns the files and folders that Slipway put on a host of its own.
///
/// `existing` names what a file of other days, or none at all, does not.
pub(crate) fn installed_files(
    spec: &ClusterSpec,
    role: Role,
    existing: &ExistingCluster,
) -> Vec<Step> {
    let with_runtime = existing.runtime_is_ours;
    let mut names = vec!["kubelet", ROUTE_UNIT.trim_end_matches(".service")];
    let mut steps = vec![
        Step::RemoveFiles(cni_plugins()),
        empty_folders("/opt/cni"),
        Step::RemoveFiles(programs(role)),
    ];
    if with_runtime {
        names.push("containerd");
        steps.push(Step::RemoveFiles(runtime_programs()));
    }
    steps.push(Step::RemoveFiles(units(&names)));
    steps.push(empty_folders("/etc/systemd/system/kubelet.service.d"));
    if with_runtime {
        steps.extend([
            Step::RemoveFiles(with_mirrors(
                runtime_files(spec),
                &existing.mirrored_registries,
            )),
            empty_folders("/etc/containerd"),
            Step::RemovePath(RemovePath {
                path: paths::CONTAINERD_DIR.to_owned(),
                scope: RemovalScope::UnlessUsedBefore,
            }),
            everything(paths::CONTAINERD_RUN_DIR),
            Step::RemoveFiles(files("/run/nri", &["nri.sock"])),
            empty_folders("/run/nri"),
            empty_folders("/opt/containerd"),
        ]);
    }
    steps.extend([paths::MODULES_FILE, paths::SYSCTL_FILE].map(everything));
    steps
}

/// Returns what kubeadm's layout has of a node, and its logs.
///
/// etcd's data goes from where the file has it and from where the manifest here has it: a host
/// may be reset without the file that it was made from.
pub(crate) fn node_files(spec: &ClusterSpec, role: Role, existing: &ExistingCluster) -> Vec<Step> {
    let mut steps = vec![everything(paths::KUBELET_DIR)];
    let named = existing.etcd_data_dir.as_deref();
    let dirs: BTreeSet<&str> = etcd_dir(spec, role).into_iter().chain(named).collect();
    steps.extend(dirs.into_iter().map(everything));
    steps.extend([
        Step::RemoveFiles(files(paths::PKI_DIR, &PKI_FILES)),
        Step::RemoveFiles(files(paths::KUBERNETES_DIR, &KUBERNETES_FILES)),
        empty_folders("/usr/libexec/kubernetes"),
        empty_folders(MODULES_DIR),
    ]);
    steps.extend(["/var/log/pods", "/var/log/containers"].map(everything));
    steps
}

/// Returns what says that a host is a node: it goes after everything else of
/// the node, so that a reset that was cut off knows there is more to do.
pub(crate) fn node_marks() -> [Step; 3] {
    [
        everything(paths::KUBELET_CONF),
        everything(paths::BOOTSTRAP_KUBELET_CONF),
        empty_folders(paths::KUBERNETES_DIR),
    ]
}

/// Returns what of the pod network is in the kernel.
pub(crate) fn network_state() -> Vec<Step> {
    vec![
        Step::RemoveNamespaces(RemoveNamespaces {
            networks: vec![NETWORK.to_owned()],
        }),
        Step::RemoveRules(RemoveRules {
            chain_prefixes: ["KUBE-", "FLANNEL-"].map(str::to_owned).to_vec(),
            networks: vec![NETWORK.to_owned()],
            tables: TABLES.map(str::to_owned).to_vec(),
            set_prefixes: vec!["KUBE-".to_owned()],
            virtual_server_link: Some(VIRTUAL_SERVER_LINK.to_owned()),
        }),
        Step::RemoveLinks(RemoveLinks {
            links: LINKS.map(str::to_owned).to_vec(),
        }),
    ]
}

/// Returns what of the pod network is on disk.
pub(crate) fn network_files() -> Vec<Step> {
    vec![
        Step::RemoveFiles(files(paths::CNI_CONF_DIR, &[CNI_CONFIG])),
        Step::RemoveFiles(files(paths::CNI_STATE_DIR, &CNI_STATE)),
        everything(FLANNEL_RUN_DIR),
    ]
}

/// Returns the folders of the pod network that may be empty now.
pub(crate) fn network_folders() -> [Step; 2] {
    [paths::CNI_STATE_DIR, "/etc/cni"].map(empty_folders)
}

/// Returns the data folder of this host's etcd member. On other hosts an etcd
/// would be somebody else's, and so would be one outside the cluster.
fn etcd_dir(spec: &ClusterSpec, role: Role) -> Option<&str> {
    match (role, &spec.cluster_configuration.etcd) {
        (Role::ControlPlane, Etcd::Local(etcd)) => Some(&etcd.data_dir),
        (Role::ControlPlane, Etcd::External(_)) | (Role::Worker, _) => None,
    }
}

fn cni_plugins() -> RemoveFiles {
    files(paths::CNI_BIN_DIR, &CNI_PLUGINS)
}

fn programs(role: Role) -> RemoveFiles {
    match role {
        Role::ControlPlane => files(paths::BIN_DIR, &["kubelet", "kubeadm", "kubectl"]),
        Role::Worker => files(paths::BIN_DIR, &["kubelet"]),
    }
}

fn runtime_programs() -> RemoveFiles {
    files(paths::BIN_DIR, &RUNTIME_PROGRAMS)
}

/// Returns the files of units, with the links that start them at boot.
fn units(names: &[&str]) -> RemoveFiles {
    let mut found = Vec::new();
    for name in names {
        found.push(format!("{name}.service"));
        found.push(format!("multi-user.target.wants/{name}.service"));
        if *name == "kubelet" {
            found.push("kubelet.service.d/10-kubeadm.conf".to_owned());
        }
    }
    RemoveFiles {
        folder: paths::UNIT_DIR.to_owned(),
        names: found,
    }
}

fn runtime_files(spec: &ClusterSpec) -> RemoveFiles {
    let mut found = files("/etc/containerd", &["config.toml", "conf.d/50-extra.toml"]);
    let registries = spec.runtime.registry_mirrors.keys();
    found
        .names
        .extend(registries.map(|registry| mirrors_of(registry)));
    found
}

/// Returns the runtime's files with those that name the mirrors of `registries`.
fn with_mirrors(mut found: RemoveFiles, registries: &[String]) -> RemoveFiles {
    for registry in registries {
        let name = mirrors_of(registry);
        if !found.names.contains(&name) {
            found.names.push(name);
        }
    }
    found
}

/// Returns the file, below containerd's folder, that names the mirrors of a registry.
fn mirrors_of(registry: &str) -> String {
    format!("certs.d/{registry}/hosts.toml")
}

fn files(folder: &str, names: &[&str]) -> RemoveFiles {
    RemoveFiles {
        folder: folder.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Returns the step that deletes a path with everything below it.
pub(crate) fn everything(path: &str) -> Step {
    Step::RemovePath(RemovePath {
        path: path.to_owned(),
        scope: RemovalScope::Everything,
    })
}

fn empty_folders(path: &str) -> Step {
    Step::RemovePath(RemovePath {
        path: path.to_owned(),
        scope: RemovalScope::EmptyFolders,
    })
}
