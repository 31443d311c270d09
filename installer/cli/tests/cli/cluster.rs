//! A cluster of three hosts that Slipway has installed, and the binary to run on it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use russh::keys::ssh_key::LineEnding;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{ClusterFacts, HostFacts};
use slipway_hosts::FakeHost;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::ssh_host::{SshHost, new_key};
use crate::support::bare_host;

/// The hosts' names; the first is the control plane's.
pub const HOSTS: [&str; 3] = ["cp-1", "w-1", "w-2"];

/// A cluster file, and a server for each host that is up.
pub struct Cluster {
    folder: TempDir,
    hosts: Vec<SshHost>,
}

/// A command that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Cluster {
    /// Starts all hosts.
    pub async fn up() -> Self {
        Self::up_with(|_, _| None).await
    }

    /// Starts all hosts; `script` is asked first what a host answers.
    pub async fn up_with(script: Script) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = new_key().to_openssh(LineEnding::LF).expect("encodes");
        let identity = folder.path().join("id");
        std::fs::write(&identity, key.as_bytes()).expect("written");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&identity, private).expect("mine");
        let mut hosts = Vec::new();
        for name in HOSTS {
            hosts.push(SshHost::start(fake(name, script)).await);
        }
        let cluster = Self { folder, hosts };
        cluster.write_file();
        cluster.write_known_hosts(|host| host.key.clone());
        cluster
    }

    /// Returns the host of that name.
    pub fn host(&self, name: &str) -> &SshHost {
        let index = HOSTS.iter().position(|host| *host == name);
        &self.hosts[index.expect("a host of the cluster")]
    }

    /// Takes a host down: its connections end, and its port refuses new ones.
    pub fn take_down(&mut self, name: &str) {
        let index = HOSTS.iter().position(|host| *host == name);
        let fake = self.hosts[index.expect("a host of the cluster")]
            .fake
            .clone();
        let address = self.host(name).address;
        let gone = SshHost::gone(fake, address);
        let _ = std::mem::replace(&mut self.hosts[index.expect("found before")], gone);
    }

    /// Makes one host show another key than the one that is recorded.
    pub fn change_key(&self, name: &str) {
        let changed = self.host(name).address;
        self.write_known_hosts(|host| {
            if host.address == changed {
                new_key().public_key().clone()
            } else {
                host.key.clone()
            }
        });
    }

    /// Returns the cluster file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("cluster.yaml")
    }

    fn write_file(&self) {
        let mut text = format!(
            "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {{ name: harbour }}\n\
             spec:\n  kubernetesVersion: 1.36.3\n  ssh: {{ user: root, identityFile: {0}/id, \
             knownHostsFile: {0}/known_hosts }}\n  hosts:\n",
            self.folder.path().display()
        );
        for (index, (name, host)) in HOSTS.iter().zip(&self.hosts).enumerate() {
            let role = if index == 0 {
                "control-plane"
            } else {
                "worker"
            };
            text.push_str(&format!(
                "    - {{ name: {name}, address: 127.0.0.1, internalAddress: 192.0.2.{}, \
                 port: {}, role: {role} }}\n",
                11 + index,
                host.address.port()
            ));
        }
        std::fs::write(self.file(), text).expect("written");
    }

    fn write_known_hosts(&self, key_of: impl Fn(&SshHost) -> russh::keys::PublicKey) {
        let line = |host: &SshHost| {
            let key = key_of(host).to_openssh().expect("encodes");
            format!("[127.0.0.1]:{} {key}\n", host.address.port())
        };
        let lines: String = self.hosts.iter().map(line).collect();
        std::fs::write(self.folder.path().join("known_hosts"), lines).expect("written");
    }

    /// Starts the binary with its streams piped; the cluster file is named.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = slipway(self.folder.path());
        command.args(arguments).arg("-f").arg(self.file());
        command.spawn().expect("the binary is there")
    }

    /// Runs the binary to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        end(self.start(arguments)).await
    }
}

/// Returns the binary in a home of its own.
pub fn slipway(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command
        .env("HOME", home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("SLIPWAY_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Waits for the end of a command.
pub async fn end(child: Child) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().await.expect("it ends");
    Ended {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
    }
}

/// Answers for a host, or leaves it to the ordinary answer.
type Script = fn(&str, &Request) -> Option<Result<Reply, slipway_api::Failure>>;

fn fake(name: &'static str, script: Script) -> FakeHost {
    let host = name.parse().expect("a host name");
    FakeHost::new(host).with_script(move |request, _| {
        script(name, request).or_else(|| answer(name, request).map(Ok))
    })
}

/// Answers as a host of the cluster that is up.
fn answer(name: &str, request: &Request) -> Option<Reply> {
    if *request == Request::GatherFacts {
        return Some(Reply::Facts(Box::new(facts_of(name))));
    }
    if *request == Request::GatherClusterFacts {
        let facts = ClusterFacts {
            api_server_version: "v1.36.3".to_owned(),
            nodes: Vec::new(),
            unhealthy: Vec::new(),
            configuration: None,
        };
        return Some(Reply::ClusterFacts { facts: Some(facts) });
    }
    None
}

/// Returns the facts of a host of the cluster.
pub fn facts_of(name: &str) -> HostFacts {
    let index = HOSTS.iter().position(|host| *host == name);
    let last = 11 + u8::try_from(index.expect("a host of the cluster")).expect("few");
    let mut facts = bare_host(name, [192, 0, 2, last].into());
    facts.existing.slipway_cluster = Some("harbour".to_owned());
    facts.existing.runtime_is_ours = true;
    facts.existing.kubelet_conf = true;
    facts.existing.admin_conf = name == HOSTS[0];
    facts
}
