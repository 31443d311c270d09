//! What is installed and set up on a host beside Kubernetes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is installed and set up on a host beside Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SoftwareFacts {
    /// Whether systemd is the host's init system.
    pub has_systemd: bool,
    /// Packages that bring programs of Kubernetes or a container runtime.
    pub packages: Vec<Package>,
    /// Programs of container runtimes, wherever they are: `/usr/bin/containerd`.
    pub runtime_programs: Vec<String>,
    /// The CRI sockets that somebody listens on.
    pub runtime_sockets: Vec<String>,
    /// Units of ours that cannot be started because they are masked.
    pub masked_units: Vec<String>,
    /// The firewall service that is active: `firewalld` or `ufw`.
    pub firewall: Option<String>,
    /// SELinux, where the kernel has it switched on.
    pub selinux: Option<SelinuxFacts>,
    /// The proxy variables that services are started with, passwords left out.
    pub proxies: BTreeMap<String, String>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether upgrades leave it alone.
    pub held: bool,
    /// The package manager: `dpkg` or `rpm`.
    pub manager: String,
}

/// How SELinux is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelinuxFacts {
    /// Whether it forbids, and does not only log.
    pub is_enforcing: bool,
    /// Whether the policy for containers is installed.
    pub has_container_policy: bool,
}
