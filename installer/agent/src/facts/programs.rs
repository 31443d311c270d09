//! The programs that matter: container runtime, kubelet, and what they call.

use std::path::{Path, PathBuf};

use slipway_api::{KubeletFacts, RuntimeFacts, paths};

use crate::command;
use crate::cri::CriClient;
use crate::server::under;
use crate::steps::unit_is_active;

/// Sockets of known container runtimes, in the order in which they are tried.
/// Source: kubeadm `constants_unix.go`.
const SOCKETS: [&str; 3] = [
    paths::CONTAINERD_SOCKET,
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
];

/// Programs that the kubelet calls on the host (source: kubeadm's `FileExisting`
/// checks), and `ip` and `modprobe`, which Slipway calls.
const NEEDED: [&str; 5] = ["losetup", "mount", "cp", "ip", "modprobe"];

/// Folders that are searched for programs.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Returns the runtime that listens, if one does.
pub(super) async fn gather_runtime(root: &Path) -> Option<RuntimeFacts> {
    for socket in SOCKETS {
        let path = under(root, socket);
        if tokio::net::UnixStream::connect(&path).await.is_err() {
            continue;
        }
        let client = CriClient::connect(&path).await.ok()?;
        let version = client.version().await.ok();
        return Some(RuntimeFacts {
            socket: socket.to_owned(),
            name: version
                .as_ref()
                .map_or_else(String::new, |found| found.name.clone()),
            version: version.map_or_else(String::new, |found| found.version),
            cgroup_driver: client
                .cgroup_driver()
                .await
                .ok()
                .flatten()
                .map(|driver| driver.to_string()),
            ready: client
                .status()
                .await
                .is_ok_and(|status| status.is_runtime_ready()),
            is_ours: socket == paths::CONTAINERD_SOCKET
                && under(root, paths::RUNTIME_MARKER).exists(),
        });
    }
    None
}

/// Returns the kubelet that is installed, if one is.
pub(super) async fn gather_kubelet(root: &Path) -> Option<KubeletFacts> {
    let path = find_program(root, "kubelet")?;
    let config = std::fs::read_to_string(under(root, paths::KUBELET_CONFIG)).unwrap_or_default();
    let program = path.to_string_lossy().into_owned();
    let version = command::run(&program, &["--version"]).await.ok();
    Some(KubeletFacts {
        path: program,
        version: version.and_then(|text| text.split_whitespace().last().map(str::to_owned)),
        cgroup_driver: config
            .lines()
            .find_map(|line| line.strip_prefix("cgroupDriver:"))
            .map(|value| value.trim().trim_matches('"').to_owned()),
        active: unit_is_active("kubelet.service").await,
    })
}

/// Returns the programs of [`NEEDED`] that are in no folder.
pub(super) fn missing_programs() -> Vec<String> {
    let is_missing = |name: &&str| find_program(Path::new("/"), name).is_none();
    NEEDED
        .into_iter()
        .filter(is_missing)
        .map(str::to_owned)
        .collect()
}

/// Returns the runtimes' sockets that somebody listens on.
pub(super) async fn sockets_in_use(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for socket in SOCKETS {
        if tokio::net::UnixStream::connect(under(root, socket))
            .await
            .is_ok()
        {
            found.push(socket.to_owned());
        }
    }
    found
}

/// Returns a program's path; the first one that a shell of root's would take.
pub(super) fn find_program(root: &Path, name: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| under(root, folder).join(name))
        .find(|path| path.is_file())
}
