//! Steps that take Kubernetes off a host and touch nothing else.

use serde::{Deserialize, Serialize};

/// Stops and disables a systemd unit; one that does not exist is fine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopUnit {
    /// The unit.
    pub unit: String,
}

/// Stops and removes every pod through the container runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovePods {
    /// The runtime's socket; one that is not there means no pods.
    pub socket: String,
}

/// Unmounts everything below a folder, deepest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnmountBelow {
    /// The folder, itself left mounted.
    pub path: String,
}

/// Deletes a file or folder with everything in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovePath {
    /// The absolute path.
    pub path: String,
    /// Only the content goes, the folder stays: for folders that may be mount points.
    pub keep_folder: bool,
}

/// Deletes network links by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveLinks {
    /// The links; missing ones are fine.
    pub links: Vec<String>,
}

/// Deletes netfilter chains by prefix, with the rules that jump to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoveRules {
    /// The chains' prefixes, for example `KUBE-`.
    pub chain_prefixes: Vec<String>,
}
