//! The real kubeadm, run dry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::case::Case;

/// The runtime's socket.
pub const CRI_SOCKET: &str = "unix:///var/run/containerd/containerd.sock";

/// What one run of kubeadm wrote.
pub struct Written {
    directory: tempfile::TempDir,
    /// By kind, namespace and name.
    pub objects: BTreeMap<String, Value>,
}

/// Returns the kubeadm of a version.
pub fn binary(version: &str) -> PathBuf {
    let minor: String = version.split('.').take(2).collect::<Vec<_>>().join("_");
    let variable = format!("SLIPWAY_KUBEADM_{minor}");
    let path = std::env::var_os(&variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} must name a kubeadm binary")))
}

impl Written {
    /// Runs `kubeadm init --dry-run`.
    pub fn by(kubeadm: &Path, case: &Case) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = directory.path().join("kubeadm.yaml");
        std::fs::write(&config, case.kubeadm_configuration()).expect("it is written");
        // The environment is empty: kubeadm copies proxy variables into its Pods.
        let output = Command::new(kubeadm)
            .args([
                "init",
                "--dry-run",
                "--skip-phases",
                "preflight",
                "--config",
            ])
            .arg(&config)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("KUBEADM_INIT_DRYRUN_DIR", directory.path())
            .output()
            .expect("kubeadm starts");
        assert!(
            output.status.success(),
            "{}: {}",
            case.name,
            String::from_utf8_lossy(&output.stderr)
        );
        let log = String::from_utf8(output.stdout).expect("kubeadm writes UTF-8");
        Self {
            directory,
            objects: created_objects(&log),
        }
    }

    /// Returns a file that kubeadm wrote.
    pub fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join(file)).ok()
    }
}

/// Returns the objects that a dry run says it would create.
fn created_objects(log: &str) -> BTreeMap<String, Value> {
    log.split("[dryrun] Would perform action CREATE ")
        .skip(1)
        .filter_map(|part| part.split_once("[dryrun] Attached object:\n"))
        .map(|(_, rest)| {
            let ends = ["\n[", "\nYour Kubernetes"].map(|end| rest.find(end));
            let end = ends.into_iter().flatten().min().unwrap_or(rest.len());
            let object: Value = serde_saphyr::from_str(&rest[..end]).expect("kubeadm's YAML");
            (identity(&object), object)
        })
        .collect()
}

/// Returns an object's kind, namespace and name.
pub fn identity(object: &Value) -> String {
    let metadata = &object["metadata"];
    [&object["kind"], &metadata["namespace"], &metadata["name"]]
        .map(|part| part.as_str().unwrap_or_default())
        .join("/")
}
