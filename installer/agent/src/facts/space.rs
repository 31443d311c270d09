//! Space on the file systems that Kubernetes uses.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use slipway_api::{Disk, paths};

use crate::server::under;

/// The folders whose file systems fill up.
const FOLDERS: [&str; 7] = [
    "/",
    paths::BIN_DIR,
    paths::CNI_BIN_DIR,
    paths::KUBELET_DIR,
    "/var/lib/containerd",
    paths::ETCD_DIR,
    paths::STATE_DIR,
];

/// The folders that programs are run from.
const PROGRAM_FOLDERS: [&str; 4] = [
    paths::BIN_DIR,
    paths::CNI_BIN_DIR,
    paths::STATE_DIR,
    "/var/lib/containerd",
];

/// Returns the space below each folder.
pub(super) fn gather_disks(root: &Path) -> BTreeMap<String, Disk> {
    let space = |folder: &&str| {
        let disk = space_below(&under(root, folder))?;
        Some(((*folder).to_owned(), disk))
    };
    FOLDERS.iter().filter_map(space).collect()
}

/// Returns the space below a folder, or below its nearest ancestor that exists.
pub(crate) fn space_below(folder: &Path) -> Option<Disk> {
    let path = nearest(folder);
    let found = statvfs(&path).ok()?;
    let device = std::fs::metadata(&path).ok()?.dev();
    Some(Disk {
        file_system: format!(
            "{}:{}",
            rustix::fs::major(device),
            rustix::fs::minor(device)
        ),
        total: found.f_blocks * found.f_frsize,
        available: found.f_bavail * found.f_frsize,
        inodes: found.f_files,
        available_inodes: found.f_ffree,
    })
}

/// Returns the program folders that are on a file system mounted noexec.
pub(super) fn noexec_paths(root: &Path) -> Vec<String> {
    let is_noexec = |folder: &&&str| {
        statvfs(nearest(&under(root, folder)))
            .is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC))
    };
    PROGRAM_FOLDERS
        .iter()
        .filter(is_noexec)
        .map(|folder| (*folder).to_owned())
        .collect()
}

/// Returns the path, or its nearest ancestor that exists.
fn nearest(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|ancestor| ancestor.exists());
    found.unwrap_or(Path::new("/")).to_owned()
}
