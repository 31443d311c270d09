//! Steps that take Kubernetes off a host and touch nothing else.

use serde::{Deserialize, Serialize};

/// Stops and disables a systemd unit; one that does not exist is fine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopUnit {
    /// The unit.
    pub unit: String,
}

/// Makes systemd forget units whose files are gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForgetUnits {
    /// The units.
    pub units: Vec<String>,
}

/// Stops and removes every pod that a kubelet made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovePods {
    /// The runtime's socket.
    pub socket: String,
    /// The runtime's unit, started where nobody listens on the socket; none
    /// for a runtime that is not Slipway's. Where it cannot be started, the
    /// pods' processes are ended without it.
    #[serde(default)]
    pub unit: Option<String>,
    /// Whether static Pods stay: a control plane goes on while the others are taken away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_static: bool,
}

/// Ends the containers that outlived their runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndContainers {
    /// The runtime's socket.
    pub socket: String,
}

/// Unmounts everything below a folder, deepest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnmountBelow {
    /// The folder, itself left mounted.
    pub path: String,
}

/// Deletes network namespaces that CNI plugins left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveNamespaces {
    /// The names of the networks whose namespaces go.
    pub networks: Vec<String>,
}

/// Deletes control groups that hold no process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveCgroups {
    /// Their names at the top of the hierarchies, for example `kubepods.slice`.
    pub names: Vec<String>,
}

/// Deletes a file or folder with everything in it, or puts back what was
/// there before Slipway came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovePath {
    /// The absolute path. A folder that was there before, is a mount point or
    /// is reached by a symbolic link stays and is emptied.
    pub path: String,
    /// What of it goes.
    #[serde(default)]
    pub scope: RemovalScope,
}

/// How much of a folder goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovalScope {
    /// Everything in it.
    #[default]
    Everything,
    /// Everything in it, unless it had content before Slipway came.
    UnlessUsedBefore,
    /// Only folders without any file, and none that was there before.
    EmptyFolders,
}

/// Deletes files by name in a folder that others use too, or puts back what
/// was there before Slipway came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveFiles {
    /// The folder, which stays.
    pub folder: String,
    /// Paths below it; `*` at the end stands for any rest of a name.
    pub names: Vec<String>,
}

/// Deletes network links by name, with the links that are attached to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveLinks {
    /// The links; missing ones are fine.
    pub links: Vec<String>,
}

/// Deletes what Kubernetes put into the kernel's packet filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveRules {
    /// Beginnings of chains that go, for example `KUBE-`, with the rules that
    /// lead to them.
    pub chain_prefixes: Vec<String>,
    /// Networks whose `CNI-` chains go; those of other networks stay.
    #[serde(default)]
    pub networks: Vec<String>,
    /// nftables tables that go whole, by family and name: `ip kube-proxy`.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Beginnings of address sets that go.
    #[serde(default)]
    pub set_prefixes: Vec<String>,
    /// The link whose addresses are those of our IPVS virtual servers.
    #[serde(default)]
    pub virtual_server_link: Option<String>,
}
