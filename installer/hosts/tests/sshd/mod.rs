//! OpenSSH's own server, as root, in a mount namespace of its own.
//!
//! The server sees its own `/var/lib`, users and sudoers; nothing of this machine is changed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slipway_api::Architecture;
use slipway_hosts::agent::{AgentBinaries, AgentBinary};
use slipway_hosts::ssh::SshTarget;
use tempfile::TempDir;

/// The programs that the tests need, and the package of each.
const PROGRAMS: [(&str, &str); 3] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/bin/sudo", "sudo"),
];

/// Prepares the namespace, then becomes sshd; `$1` is the folder.
const NAMESPACE: &str = r#"
set -e
mount --make-rprivate /
mkdir -p /run/sshd
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p /var/lib/sudo
if [ -e "$1/noexec" ]; then
    mkdir /var/lib/slipway
    mount -t tmpfs -o noexec tmpfs /var/lib/slipway
fi
if [ -e "$1/full" ]; then
    mkdir /var/lib/slipway
    mount -t tmpfs -o size=64k tmpfs /var/lib/slipway
fi
for file in passwd shadow group sudoers; do
    mount --bind "$1/$file" "/etc/$file"
done
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
"#;

/// The password of both users that may use sudo.
pub const PASSWORD: &str = "correct horse";

/// A running server; dropping it ends it.
pub struct Sshd {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // The listener; its children end with their connections.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sshd {
    /// Starts a server; each of `marks` changes its namespace.
    pub fn start(marks: &[&str]) -> Self {
        for (program, package) in PROGRAMS {
            assert!(
                Path::new(program).exists(),
                "{program} is missing: install {package}"
            );
        }
        assert!(
            rustix::process::geteuid().is_root(),
            "this test must run as root"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().to_owned();
        // Users who are not root must reach their keys.
        allow(&path, 0o755);
        for key in ["host_ed25519", "host_rsa", "user", "stranger"] {
            let kind = key.strip_prefix("host_").unwrap_or("ed25519");
            run(
                "ssh-keygen",
                &["-q", "-t", kind, "-N", "", "-f", &in_folder(&path, key)],
            );
        }
        std::fs::copy(path.join("user.pub"), path.join("authorized_keys")).expect("copied");
        let port = free_port();
        write(&path, "sshd_config", &sshd_config(&path, port));
        write_users(&path);
        for mark in marks {
            write(&path, mark, "");
        }
        let log = std::fs::File::create(path.join("log")).expect("created");
        let process = Command::new("unshare")
            .args(["--mount", "sh", "-c", NAMESPACE, "sshd"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare starts");
        let sshd = Self {
            folder,
            port,
            process,
        };
        sshd.wait_until_listening();
        sshd.record_host_key("host_ed25519", "");
        sshd
    }

    /// Returns the process ID of the listener; connections have children of it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Lets the server read its files again.
    pub fn reload(&self) {
        run("kill", &["-HUP", &self.pid().to_string()]);
        std::thread::sleep(Duration::from_millis(300));
        self.wait_until_listening();
    }

    /// Waits until the server accepts connections.
    fn wait_until_listening(&self) {
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "sshd does not listen: {log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the only line of `known_hosts`.
    pub fn record_host_key(&self, key: &str, marker: &str) {
        let text = std::fs::read_to_string(self.path(&format!("{key}.pub"))).expect("readable");
        write(
            self.folder.path(),
            "known_hosts",
            &format!("{marker}[127.0.0.1]:{} {text}", self.port),
        );
    }

    pub fn target(&self, user: &str) -> SshTarget {
        let mut target = SshTarget::new("cp-1", "127.0.0.1", user);
        target.port = self.port;
        target.identity_files = vec![self.path("user")];
        target.agent_socket = None;
        target.known_hosts_files = vec![self.path("known_hosts")];
        target
    }

    /// Returns an agent that is a shell script: `text` after the shebang.
    pub async fn agent(&self, text: &str) -> AgentBinaries {
        let path = self.path("agent");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        let binary = AgentBinary::of_file(&path).await.expect("readable");
        let architecture: Architecture = std::env::consts::ARCH.parse().expect("known");
        AgentBinaries::default().with(architecture, binary)
    }
}

fn sshd_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n\
         HostKey {folder}/host_ed25519\nHostKey {folder}/host_rsa\n\
         AuthorizedKeysFile {folder}/authorized_keys\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n\
         MaxSessions 10\nMaxStartups 100\n"
    )
}

/// Users of the namespace: `free` needs no password for sudo, `asked` does, `barred` gets nowhere.
fn write_users(folder: &Path) {
    let hash = run("openssl", &["passwd", "-6", PASSWORD]);
    let mut passwd =
        "root:x:0:0::/root:/bin/sh\nsshd:x:900:65534::/run/sshd:/bin/false\n".to_owned();
    let mut shadow = "root:*:19000::::::\nsshd:*:19000::::::\n".to_owned();
    for (id, user) in [(901, "free"), (902, "asked"), (903, "barred")] {
        passwd.push_str(&format!("{user}:x:{id}:65534::/tmp:/bin/sh\n"));
        shadow.push_str(&format!("{user}:{}:19000::::::\n", hash.trim()));
    }
    write(folder, "passwd", &passwd);
    write(folder, "shadow", &shadow);
    write(
        folder,
        "group",
        "root:x:0:\nnogroup:x:65534:\nshadow:x:42:\n",
    );
    write(
        folder,
        "sudoers",
        "root ALL=(ALL) ALL\nfree ALL=(ALL) NOPASSWD: ALL\nasked ALL=(ALL) ALL\n",
    );
    allow(&folder.join("sudoers"), 0o440);
    allow(&folder.join("shadow"), 0o640);
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("allowed");
}

fn in_folder(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// Runs a program that must succeed, and returns its output.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).expect("text")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
