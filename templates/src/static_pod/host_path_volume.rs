//! Directories and files of the host inside static Pods.

use serde::Serialize;

/// The host path is made as an empty directory where it is missing.
pub(crate) const DIRECTORY_OR_CREATE: &str = "DirectoryOrCreate";
/// The host path is made as an empty file where it is missing.
pub(crate) const FILE_OR_CREATE: &str = "FileOrCreate";

/// A path of the host mounted into a static Pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostPathVolume {
    /// The volume's name; one of the user's replaces kubeadm's of the same name.
    pub name: String,
    /// The path on the host.
    pub host_path: String,
    /// The path in the container.
    pub mount_path: String,
    /// Whether the container may only read.
    pub read_only: bool,
    /// Kubernetes' `HostPathType`; empty means that nothing is checked.
    pub path_type: String,
}

impl HostPathVolume {
    /// Returns a directory mounted read-only where it lies on the host.
    pub(crate) fn directory(name: impl Into<String>, path: &str) -> Self {
        Self::at_same_path(name.into(), path, DIRECTORY_OR_CREATE)
    }

    /// Returns a file mounted read-only where it lies on the host.
    pub(crate) fn file(name: &str, path: &str) -> Self {
        Self::at_same_path(name.to_owned(), path, FILE_OR_CREATE)
    }

    /// Returns the same volume, writable.
    pub(crate) fn writable(self) -> Self {
        Self {
            read_only: false,
            ..self
        }
    }

    fn at_same_path(name: String, path: &str, path_type: &str) -> Self {
        Self {
            name,
            host_path: path.to_owned(),
            mount_path: path.to_owned(),
            read_only: true,
            path_type: path_type.to_owned(),
        }
    }
}

/// Returns the volumes sorted by name; of several with one name the last stays.
pub(crate) fn merged(volumes: Vec<HostPathVolume>) -> Vec<HostPathVolume> {
    let by_name: std::collections::BTreeMap<String, HostPathVolume> = volumes
        .into_iter()
        .map(|volume| (volume.name.clone(), volume))
        .collect();
    by_name.into_values().collect()
}
