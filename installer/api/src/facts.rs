//! What hosts and cluster are like right now.

mod authority_facts;
mod certificate_summary;
mod kernel_options;
mod leftovers;
mod resolver;
mod software;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use authority_facts::AuthorityFacts;
pub use certificate_summary::CertificateSummary;
pub use kernel_options::{KERNEL_OPTIONS, KernelOption};
pub use leftovers::Leftovers;
pub use resolver::ResolverFacts;
pub use software::{Package, SelinuxFacts, SoftwareFacts};

use crate::{Architecture, BalancerState, Failure, HostName, HostProbes, LeftOut};

/// Everything a plan is made from, beside the cluster file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Each host: its facts, or why it could not be reached.
    pub hosts: BTreeMap<HostName, HostState>,
    /// The cluster, where a control-plane host answered for it.
    pub cluster: Option<ClusterFacts>,
    /// The control-plane host that answered for the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_from: Option<HostName>,
    /// What came of probes, for each host that was asked; empty where none were made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<HostName, HostProbes>,
}

/// A host's facts, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum HostState {
    /// The agent answered.
    Reached(Box<HostFacts>),
    /// It did not.
    Unreached {
        /// Why.
        failure: Failure,
    },
}

impl Facts {
    /// Returns the facts of `host`, if it was reached.
    pub fn host(&self, host: &HostName) -> Option<&HostFacts> {
        match self.hosts.get(host) {
            Some(HostState::Reached(facts)) => Some(facts),
            Some(HostState::Unreached { .. }) | None => None,
        }
    }

    /// Returns the hosts that could not be reached, with the reasons.
    pub fn unreached(&self) -> impl Iterator<Item = LeftOut> {
        self.hosts.iter().filter_map(|(host, state)| match state {
            HostState::Reached(_) => None,
            HostState::Unreached { failure } => Some(LeftOut {
                host: host.clone(),
                failure: failure.clone(),
            }),
        })
    }

    /// Returns the same facts without the hosts that could not be reached.
    pub fn reached(&self) -> Self {
        let mut facts = self.clone();
        facts
            .hosts
            .retain(|_, state| matches!(state, HostState::Reached(_)));
        facts
    }
}

/// One host's facts. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// When they were gathered, by the host's clock.
    pub observed_at: Timestamp,
    /// The kernel's host name.
    pub hostname: String,
    /// The processor architecture.
    pub architecture: Architecture,
    /// `PRETTY_NAME` of os-release.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// Logical processors.
    pub cpus: u32,
    /// Memory in all.
    pub memory_bytes: u64,
    /// Active swap devices and files.
    pub swap: Vec<String>,
    /// The content of /etc/machine-id.
    pub machine_id: Option<String>,
    /// The DMI product UUID; virtual machines cloned carelessly share it.
    pub product_uuid: Option<String>,
    /// Network links but loopback.
    pub links: Vec<Link>,
    /// The interface of the default route.
    pub default_route: Option<String>,
    /// The address on that interface under which others reach this host:
    /// what kubeadm advertises where it is told nothing.
    #[serde(default)]
    pub default_address: Option<IpAddr>,
    /// The routes of the main table, IPv4 and IPv6.
    pub routes: Vec<Route>,
    /// 1 or 2; hybrid counts as 1, as it does for kubeadm.
    pub cgroup_version: u8,
    /// The cgroup controllers that are available, those included that cgroup v2
    /// has without listing them.
    pub cgroup_controllers: Vec<String>,
    /// Which of [`KERNEL_OPTIONS`] the kernel was built with, built in or as
    /// modules; none where its configuration is nowhere to be found.
    pub kernel_options: Option<BTreeSet<String>>,
    /// Modules that this kernel certainly does not have.
    pub absent_modules: Vec<String>,
    /// Whether overlay is a known file system.
    pub overlay: bool,
    /// Whether bridged packets can be filtered: /proc/sys/net/bridge exists.
    pub bridge_netfilter: bool,
    /// Sysctls that Kubernetes cares for; absent ones are not listed.
    pub sysctls: BTreeMap<String, String>,
    /// TCP ports that are listened on.
    pub listening: Vec<Listener>,
    /// Free and total space of the file systems that Kubernetes uses, by path.
    pub disks: BTreeMap<String, Disk>,
    /// The container runtime that is installed, if any.
    pub runtime: Option<RuntimeFacts>,
    /// The kubelet that is installed, if any.
    pub kubelet: Option<KubeletFacts>,
    /// What Kubernetes left or keeps on this host.
    pub existing: ExistingCluster,
    /// Programs that kubelet and kube-proxy call and that are missing.
    pub missing_programs: Vec<String>,
    /// Whether the bounding set has CAP_SYS_RESOURCE.
    pub can_raise_limits: bool,
    /// What kind of container this host runs in, if it does.
    pub container: Option<String>,
    /// Paths among ours whose file system is mounted noexec.
    pub noexec: Vec<String>,
    /// Whether the agent runs as root.
    pub is_root: bool,
    /// The resolver's file, where systemd-resolved runs and /etc/resolv.conf
    /// would lead pods into a loop.
    pub resolv_conf: Option<String>,
    /// Folders with CA certificates that static Pods mount, as kubeadm looks for them.
    pub ca_certificate_dirs: Vec<String>,
    /// The resolver that pods are given, from `resolv_conf` or /etc/resolv.conf.
    pub resolver: ResolverFacts,
    /// What is installed and set up beside Kubernetes.
    pub software: SoftwareFacts,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads; `0.0.0.0/0` or `::/0` for a default route.
    pub destination: IpNet,
    /// The link it leads through.
    pub link: String,
}

/// A listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// The program that listens, where it can be told.
    pub program: Option<String>,
}

/// A network link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its MTU.
    pub mtu: u32,
    /// What software made it, as the kernel says: `vxlan`, `bridge`, `wlan`;
    /// none for most.
    pub kind: Option<String>,
}

/// A file system's space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// The file system, the same text for paths that share one.
    pub file_system: String,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are available without root's reserve.
    pub available: u64,
    /// Inodes in all; 0 where the file system makes them as needed.
    pub inodes: u64,
    /// Inodes that are free.
    pub available_inodes: u64,
}

/// A container runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeFacts {
    /// The CRI socket.
    pub socket: String,
    /// The runtime's name, as it gives it.
    pub name: String,
    /// Its version, as it gives it.
    pub version: String,
    /// `systemd` or `cgroupfs`; none where the runtime does not tell.
    pub cgroup_driver: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether its binary is the one that Slipway installs.
    pub is_ours: bool,
}

/// A kubelet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeletFacts {
    /// Where it is.
    pub path: String,
    /// Its version, as it prints it.
    pub version: Option<String>,
    /// The cgroup driver its configuration names.
    pub cgroup_driver: Option<String>,
    /// Whether its unit is active.
    pub active: bool,
}

/// What Kubernetes left or keeps on a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExistingCluster {
    /// Whether Slipway installed the container runtime, running or not.
    #[serde(default)]
    pub runtime_is_ours: bool,
    /// The cluster that Slipway installed this host for, if it did.
    pub slipway_cluster: Option<String>,
    /// Whether what was there before Slipway is remembered.
    #[serde(default)]
    pub is_remembered: bool,
    /// Static Pod manifests, by file name.
    pub manifests: Vec<String>,
    /// Whether kubelet.conf is there.
    pub kubelet_conf: bool,
    /// Whether bootstrap-kubelet.conf is there.
    #[serde(default)]
    pub bootstrap_conf: bool,
    /// Whether admin.conf is there.
    pub admin_conf: bool,
    /// Whether etcd's folder has content.
    pub etcd_data: bool,
    /// The data folder that etcd's manifest names; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_data_dir: Option<String>,
    /// The registries for which Slipway set mirrors here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrored_registries: Vec<String>,
    /// The members that etcd's manifest names, `name=url` each, where it joined
    /// others; none where it started a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initial_cluster: Vec<String>,
    /// The pin of the cluster CA, `sha256:…`, if there is one.
    pub ca_pin: Option<String>,
    /// The digest of the cluster CA's file.
    pub ca_sha256: Option<crate::Sha256Digest>,
    /// The authorities and the service account key pair that are there, whole or in part.
    #[serde(default)]
    pub authorities: Vec<AuthorityFacts>,
    /// The certificates that are there, those of authorities and in kubeconfigs among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateSummary>,
    /// The name inside the kubelet's client certificate, without `system:node:`.
    pub node_name: Option<String>,
    /// The user's files that Slipway brought here, as absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placed_files: Vec<String>,
    /// The recovery that makes this host's member of etcd a cluster of one, where one goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_recovery: Option<String>,
    /// Whether a balancer between this host and the API servers is installed.
    #[serde(default)]
    pub balancer: bool,
    /// What that balancer thinks of the API servers, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer_state: Option<BalancerState>,
    /// Whether a timer takes snapshots of etcd here.
    #[serde(default)]
    pub snapshot_timer: bool,
    /// Whether the cluster CA signed the certificate that the kubelet serves with.
    #[serde(default)]
    pub has_signed_serving: bool,
    /// What pods' networks leave behind, or use where there is a cluster.
    #[serde(default)]
    pub leftovers: Leftovers,
}

impl ExistingCluster {
    /// Returns whether the authority of kubeadm's name is there without its key.
    pub fn has_external(&self, name: &str) -> bool {
        let is_meant = |it: &&AuthorityFacts| it.name == name && it.is_external();
        self.authorities.iter().any(|it| is_meant(&it))
    }
}

/// A cluster's facts, seen from a control-plane host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFacts {
    /// The API server's version.
    pub api_server_version: String,
    /// The nodes.
    pub nodes: Vec<NodeFacts>,
    /// Deployments and DaemonSets of Slipway's addons that are not as they should be.
    pub unhealthy: Vec<String>,
    /// kubeadm's `ClusterConfiguration`, as the cluster keeps it.
    #[serde(default)]
    pub configuration: Option<serde_json::Value>,
}

impl ClusterFacts {
    /// Returns the control plane's address as kubeadm's configuration has it, `host:port`.
    pub fn control_plane_endpoint(&self) -> Option<&str> {
        let found = self.configuration.as_ref()?.get("controlPlaneEndpoint")?;
        found.as_str().filter(|endpoint| !endpoint.is_empty())
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Whether it is Ready.
    pub ready: bool,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its kubelet's version.
    pub kubelet_version: String,
    /// Its InternalIP.
    pub internal_ip: Option<String>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// The part of the pods' subnet that is its own.
    #[serde(default)]
    pub pod_subnet: Option<String>,
}
