//! A containerd with a state of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Child;

use crate::programs::{program, start};

/// A containerd; it ends when it is dropped.
pub struct Runtime {
    folder: TempDir,
    daemon: Child,
}

impl Runtime {
    /// Starts containerd and waits until its socket answers.
    pub async fn start(pause: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            r#"
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  # These tests run where CAP_SYS_RESOURCE is missing, too.
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{cni}"]
  conf_dir = "{cni}"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
"#,
            root = at("root"),
            state = at("state"),
            socket = at("containerd.sock"),
            cni = at("cni"),
            runc = program("runc").display(),
        );
        let path = folder.path().join("config.toml");
        std::fs::write(&path, config).expect("the folder is writable");
        // containerd looks for its shim beside itself.
        program("containerd-shim-runc-v2");
        let arguments = [format!("--config={}", path.display())];
        let log = folder.path().join("containerd.log");
        let daemon = start("containerd", &arguments, log);
        let runtime = Self { folder, daemon };
        for _ in 0..300 {
            if runtime.try_ctr(&["version"]).is_some() {
                return runtime;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("containerd does not answer after 30 s");
    }

    /// Returns the socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("containerd.sock")
    }

    /// Returns a folder that goes with the runtime.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Runs containerd's own client and returns what it prints.
    pub fn ctr(&self, arguments: &[&str]) -> String {
        self.try_ctr(arguments)
            .unwrap_or_else(|| panic!("ctr {arguments:?} fails"))
    }

    /// Ends containerd.
    pub async fn stop(&mut self) {
        self.daemon.kill().await.expect("containerd runs");
    }

    fn try_ctr(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new(program("ctr"))
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", "k8s.io"])
            .args(arguments)
            .output()
            .expect("ctr can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }
}

impl Drop for Runtime {
    /// Shows what containerd said, where a test failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.folder.path().join("containerd.log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(20)..];
            eprintln!("containerd's last lines:\n{}", tail.join("\n"));
        }
    }
}
