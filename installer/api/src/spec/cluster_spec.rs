//! What a cluster should be: the parsed and validated cluster file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ClusterConfiguration, EtcdSnapshots, GoDuration, HostName, HostSpec, LocalText, Patches, Role,
    Subnets,
};
use crate::{EtcdMember, KubernetesVersion};

/// A whole cluster as its file describes it, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The cluster's name (`metadata.name`).
    pub name: String,
    /// The Kubernetes version of the control plane and of new nodes.
    pub kubernetes_version: KubernetesVersion,
    /// The user's own DNS name or load balancer for the API; none means that
    /// nodes balance by themselves.
    pub control_plane_endpoint: Option<Endpoint>,
    /// Subnets, DNS domain and network addon.
    pub networking: Networking,
    /// How hosts are reached where they do not say otherwise.
    pub ssh: SshDefaults,
    /// The hosts, in the file's order; names and addresses are unique.
    pub hosts: Vec<HostSpec>,
    /// The container runtime.
    pub runtime: Runtime,
    /// Addons beyond kubeadm's own.
    pub addons: Addons,
    /// Snapshots of etcd that control-plane hosts take by themselves; none where the
    /// file does not ask for them.
    #[serde(default)]
    pub etcd_snapshots: Option<EtcdSnapshots>,
    /// The bundle to install from, relative paths taken from the file's folder.
    pub bundle: Option<PathBuf>,
    /// IDs of preflight checks whose errors become warnings; `all` for every one.
    pub ignore_preflight_errors: Vec<String>,
    /// How long components may take to come up.
    pub timeouts: Timeouts,
    /// Patches over what is rendered.
    pub patches: Option<Patches>,
    /// kubeadm's `ClusterConfiguration` document, kubeadm's defaults filled in.
    pub cluster_configuration: ClusterConfiguration,
    /// The `KubeletConfiguration` document, laid over kubeadm's defaults.
    pub kubelet_configuration: Option<Value>,
    /// The `KubeProxyConfiguration` document, laid over kubeadm's defaults.
    pub kube_proxy_configuration: Option<Value>,
}

/// A host name or address with a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// A DNS name or an IP address.
    pub host: String,
    /// The TCP port; 6443 where the file names none.
    pub port: u16,
}

/// Subnets, DNS domain and network addon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Networking {
    /// The pods' subnet or subnets; `10.244.0.0/16` by default.
    pub pod_subnet: Subnets,
    /// The Services' subnet or subnets; `10.96.0.0/12` by default.
    pub service_subnet: Subnets,
    /// The cluster's DNS domain; `cluster.local` by default.
    pub dns_domain: String,
    /// The network addon.
    pub cni: Cni,
}

/// The network addon that Slipway installs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cni {
    /// flannel with VXLAN.
    Flannel,
    /// None: the user installs one.
    None,
    /// The user's own manifests, applied in this order.
    Manifests(Vec<LocalText>),
}

/// How hosts are reached where they do not say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshDefaults {
    /// The user to log in as; the local user's name where nothing says otherwise.
    pub user: Option<String>,
    /// The TCP port; 22 where nothing says otherwise.
    pub port: Option<u16>,
    /// The private key's path.
    pub identity_file: Option<PathBuf>,
    /// The known_hosts file; `~/.ssh/known_hosts` where nothing says otherwise.
    pub known_hosts_file: Option<PathBuf>,
    /// Bastions, as OpenSSH's ProxyJump writes them.
    pub proxy_jump: Option<String>,
    /// Whether commands run under sudo; true unless the user is root.
    pub sudo: Option<bool>,
    /// A file that holds the sudo (and login) password.
    pub password_file: Option<PathBuf>,
}

/// The container runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// The CRI socket; containerd's by default.
    pub socket: PathBuf,
    /// Whether an already installed runtime is kept as it is.
    pub adopt: bool,
    /// Mirrors by registry name.
    pub registry_mirrors: BTreeMap<String, Vec<String>>,
    /// A containerd TOML drop-in.
    pub extra_config: Option<String>,
}

/// How long components may take to come up, in kubeadm's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// A component of the control plane; 4 minutes by default.
    pub control_plane_component_health_check: GoDuration,
    /// A kubelet; 4 minutes by default.
    pub kubelet_health_check: GoDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            control_plane_component_health_check: GoDuration::from_secs(240),
            kubelet_health_check: GoDuration::from_secs(240),
        }
    }
}

/// Addons beyond kubeadm's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addons {
    /// Whether metrics-server is installed; true by default.
    pub metrics_server: bool,
}

impl Networking {
    /// Returns whether pods or Services have IPv6 addresses.
    pub fn has_ipv6(&self) -> bool {
        self.pod_subnet.has_ipv6() || self.service_subnet.has_ipv6()
    }
}

impl ClusterSpec {
    /// Returns the hosts with `role`, in the file's order.
    pub fn hosts_with_role(&self, role: Role) -> impl Iterator<Item = &HostSpec> {
        self.hosts.iter().filter(move |host| host.role == role)
    }

    /// Returns the host called `name`.
    pub fn host(&self, name: &HostName) -> Option<&HostSpec> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// Returns the host on which a member of etcd runs, or was to run.
    pub fn host_of(&self, member: &EtcdMember) -> Option<&HostSpec> {
        let is_its = |host: &&HostSpec| member.is_of(host.node_name(), host.node_ip);
        self.hosts.iter().find(is_its)
    }

    /// Returns what a member of etcd is called: its name; before it has one, that of the node
    /// it was added for, or its ID.
    pub fn name_of(&self, member: &EtcdMember) -> String {
        match (member.has_started(), self.host_of(member)) {
            (true, _) => member.name.clone(),
            (false, Some(host)) => host.node_name().to_owned(),
            (false, None) => member.id.to_string(),
        }
    }

    /// Returns the first control-plane host: the one that starts the cluster.
    pub fn first_control_plane(&self) -> &HostSpec {
        self.hosts_with_role(Role::ControlPlane)
            .next()
            .expect("parsing refuses a file without a control-plane host")
    }
}
