//! Steps that change the running system.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Image;

/// Loads kernel modules now; a `modules-load.d` file keeps them over reboots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadModules {
    /// The modules' names; one that is built in counts as loaded.
    pub modules: Vec<String>,
}

/// Sets sysctls now; a `sysctl.d` file keeps them over reboots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetSysctls {
    /// The values by dotted name.
    pub values: BTreeMap<String, String>,
}

/// Enables a systemd unit and makes it run with its files as they are now:
/// restarted when any of them changed after it started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureUnit {
    /// The unit, for example `kubelet.service`.
    pub unit: String,
    /// The files the unit reads only when it starts.
    pub files: Vec<String>,
}

/// Makes a static Pod run with its files as they are now: its container is
/// restarted when any of them changed after it started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureStaticPod {
    /// The component, for example `kube-apiserver`: its manifest's and its
    /// container's name.
    pub name: String,
    /// The files it reads when it starts, beside its manifest.
    pub files: Vec<String>,
    /// The runtime's socket.
    pub socket: String,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
}

/// Imports an image into the container runtime and pins it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportImage {
    /// The image with all its blobs.
    pub image: Image,
    /// The runtime's socket.
    pub socket: String,
    /// Whether it also takes the name that the runtime's own configuration has
    /// for the image of its sandboxes, where nothing has that name yet: without
    /// it such a runtime would pull before it starts a pod.
    #[serde(default)]
    pub is_sandbox: bool,
}
