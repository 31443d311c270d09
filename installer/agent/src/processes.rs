//! The host's processes, as far as they belong to containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The beginning of the name of containerd's helpers, one a pod.
const SHIM: &str = "containerd-shim";
/// The control groups at the top that kubelets make, by systemd or alone.
const POD_GROUPS: [&str; 2] = ["/kubepods.slice", "/kubepods"];

/// A process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Process {
    /// Its number.
    pub id: i32,
    /// Its name.
    pub name: String,
    parent: i32,
    arguments: Vec<String>,
    groups: Vec<String>,
}

/// Which containers are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runtime<'a> {
    /// The runtime's socket.
    pub socket: &'a str,
    /// The namespace in it; none means all of them.
    pub namespace: Option<&'a str>,
}

/// Returns the processes of pods and of this runtime's containers that are
/// alive, its helpers among them.
///
/// Processes in another PID namespace are left out: they are those of
/// containers that look like hosts, such as a lab's.
pub(crate) fn container_processes(proc: &Path, runtime: Runtime<'_>) -> Vec<Process> {
    let all = gather(proc);
    let mut wanted: BTreeSet<i32> = all
        .values()
        .filter(|process| process.is_in_pod() || process.is_shim_of(runtime))
        .map(|process| process.id)
        .collect();
    // Whatever they started belongs to them.
    loop {
        let children: Vec<i32> = all
            .values()
            .filter(|process| wanted.contains(&process.parent) && !wanted.contains(&process.id))
            .map(|process| process.id)
            .collect();
        if children.is_empty() {
            break;
        }
        wanted.extend(children);
    }
    all.into_values()
        .filter(|process| wanted.contains(&process.id))
        .collect()
}

impl Process {
    fn is_in_pod(&self) -> bool {
        self.groups.iter().any(|group| {
            POD_GROUPS.iter().any(|top| {
                group
                    .strip_prefix(top)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        })
    }

    fn is_shim_of(&self, runtime: Runtime<'_>) -> bool {
        let program = self.arguments.first().map_or("", String::as_str);
        let is_shim = program
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with(SHIM));
        let value = |flag: &str| {
            let at = self.arguments.iter().position(|word| word == flag)?;
            self.arguments.get(at + 1).map(String::as_str)
        };
        // /var/run is /run.
        let plain = |path: &str| path.trim_start_matches("/var").to_owned();
        is_shim
            && value("-address").is_some_and(|address| plain(address) == plain(runtime.socket))
            && (runtime.namespace.is_none() || value("-namespace") == runtime.namespace)
    }
}

fn gather(proc: &Path) -> BTreeMap<i32, Process> {
    let own = namespace(&proc.join("self"));
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id: i32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path();
            (namespace(&folder) == own).then_some(())?;
            Some((id, read(id, &folder)?))
        })
        .collect()
}

fn namespace(folder: &Path) -> Option<PathBuf> {
    std::fs::read_link(folder.join("ns/pid")).ok()
}

/// Reads a process; none where it ended, waited for by its parent or not.
fn read(id: i32, folder: &Path) -> Option<Process> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name is in parentheses and may hold any character.
    let (start, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let arguments = std::fs::read(folder.join("cmdline")).ok()?;
    let groups = std::fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
    (!matches!(state, "Z" | "X")).then(|| Process {
        id,
        name: start
            .split_once('(')
            .map_or("", |(_, name)| name)
            .to_owned(),
        parent,
        arguments: arguments
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect(),
        groups: groups
            .lines()
            .filter_map(|line| line.splitn(3, ':').nth(2))
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: &str = "/run/containerd/containerd.sock";

    /// Makes a process as the kernel shows it.
    fn process(proc: &Path, id: i32, parent: i32, command: &str, group: &str, namespace: &str) {
        let folder = proc.join(id.to_string());
        std::fs::create_dir_all(folder.join("ns")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        let name = command.split(' ').next().unwrap();
        write("stat", &format!("{id} ({name}) S {parent} 1 1 0"));
        write("cmdline", &command.replace(' ', "\0"));
        write("cgroup", &format!("12:pids:{group}\n0::{group}\n"));
        std::os::unix::fs::symlink(namespace, folder.join("ns/pid")).unwrap();
    }

    fn found(runtime: Runtime<'_>) -> Vec<i32> {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        let (own, other) = ("pid:[1]", "pid:[2]");
        let shim = |namespace: &str, socket: &str| {
            format!(
                "/usr/local/bin/containerd-shim-runc-v2 -namespace {namespace} -id x -address {socket}"
            )
        };
        let service = "/system.slice/containerd.service";
        let docker = "/run/docker/containerd/containerd.sock";
        process(proc, 1, 0, "init", "/init.scope", own);
        process(proc, 10, 1, &shim("k8s.io", SOCKET), service, own);
        process(proc, 11, 10, "pause", "/kubepods.slice/pod1/a", own);
        process(proc, 12, 10, "etcd", "/elsewhere", own);
        process(proc, 13, 12, "etcd-child", "/elsewhere", own);
        process(proc, 20, 1, "orphan", "/kubepods/besteffort/pod2/b", own);
        process(proc, 30, 1, &shim("default", SOCKET), service, own);
        process(proc, 40, 1, &shim("moby", docker), service, own);
        process(proc, 41, 40, "nginx", "/system.slice/docker-1.scope", own);
        process(
            proc,
            50,
            1,
            &shim("k8s.io", SOCKET),
            "/machine.slice/lab",
            other,
        );
        process(
            proc,
            60,
            1,
            "kubepods-lookalike",
            "/kubepods.slice.d/x",
            own,
        );
        std::os::unix::fs::symlink("1", proc.join("self")).unwrap();
        let found = container_processes(proc, runtime);
        found.into_iter().map(|process| process.id).collect()
    }

    #[test]
    fn pods_go_and_containers_of_others_stay() {
        let socket = "/var/run/containerd/containerd.sock";
        let pods = found(Runtime {
            socket,
            namespace: Some("k8s.io"),
        });
        assert_eq!(pods, [10, 11, 12, 13, 20]);
    }

    #[test]
    fn everything_of_a_runtime_goes_with_it() {
        let all = found(Runtime {
            socket: SOCKET,
            namespace: None,
        });
        assert_eq!(all, [10, 11, 12, 13, 20, 30]);
    }
}
