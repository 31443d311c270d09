//! The layers under the images, and busybox, out of Debian packages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use slipway_api::Architecture;

use super::file_tree::FileTree;
use super::shell::command_in;
use super::workbench::{Base, PRIVATE, Workbench};
use crate::error::Error;

/// Raised when the layers' content changes; every image is then made again.
pub const REVISION: u32 = 1;

/// The packages whose programs kube-proxy and flannel call.
const NETWORK_PACKAGES: [&str; 5] = ["conntrack", "ipset", "iptables", "kmod", "nftables"];

/// Packages that others depend on for their installation only.
const INSTALLATION_ONLY: [&str; 4] = ["debconf", "debianutils", "dpkg", "init-system-helpers"];

/// What a container never looks at.
const LEFT_OUT: [&str; 6] = [
    "etc/init.d",
    "usr/include",
    "usr/lib/systemd",
    "usr/share",
    "usr/src",
    "var",
];

/// The programs that must find all their libraries inside the layer.
const CHECKED: [&str; 6] = [
    "usr/sbin/conntrack",
    "usr/sbin/ipset",
    "usr/sbin/nft",
    "usr/sbin/xtables-legacy-multi",
    "usr/sbin/xtables-nft-multi",
    "usr/bin/kmod",
];

/// The names under which iptables is called.
const IPTABLES_TOOLS: [&str; 6] = [
    "iptables",
    "iptables-restore",
    "iptables-save",
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
];

/// The names under which busybox is called.
const BUSYBOX_TOOLS: [&str; 32] = [
    "awk", "cat", "chmod", "cp", "date", "dd", "df", "echo", "env", "grep", "head", "hostname",
    "id", "ip", "ls", "mkdir", "mv", "nc", "nslookup", "ping", "ps", "rm", "sed", "seq", "sh",
    "sleep", "sort", "tail", "test", "touch", "wc", "wget",
];

/// Chooses between iptables' two back ends inside an image.
const IPTABLES_BACKEND: &str = include_str!("iptables-backend.sh");

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
    nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
    nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// Stages the two layers and busybox.
///
/// # Errors
/// A package cannot be fetched or lacks what is expected of it.
pub fn build(bench: &Workbench<'_>) -> Result<(), Error> {
    let common = unpack(
        bench,
        "common",
        &["ca-certificates", "busybox-static"],
        false,
    )?;
    let busybox = ["usr/bin/busybox", "bin/busybox"]
        .map(|path| common.join(path))
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| Error::Answer {
            program: "dpkg-deb",
            what: "no busybox in package `busybox-static`".to_owned(),
        })?;
    bench.stage_program(&busybox, &busybox_path())?;

    let mut tree = FileTree::default();
    tree.directory("root", 0o700)
        .directory("run", 0o755)
        .directory("tmp", 0o1777)
        .directory("var/tmp", 0o1777)
        .text("etc/passwd", PASSWD, 0o644)
        .text("etc/group", GROUP, 0o644)
        .text("etc/nsswitch.conf", NSSWITCH, 0o644)
        .text(
            "etc/ssl/certs/ca-certificates.crt",
            certificates(&common)?,
            0o644,
        );
    bench.stage_base(Base::Common, &tree)?;

    let network = unpack(bench, "network", &NETWORK_PACKAGES, true)?;
    check_libraries(bench, &network)?;
    for path in LEFT_OUT {
        remove(&network.join(path))?;
    }
    remove(&network.join(format!("usr/lib/{}/gconv", triplet(bench.architecture))))?;
    let mut tree = FileTree::default();
    tree.everything_below(&network)?
        .text("usr/sbin/iptables-backend", IPTABLES_BACKEND, 0o755);
    for tool in IPTABLES_TOOLS {
        tree.link(&format!("usr/sbin/{tool}"), "iptables-backend");
    }
    add_busybox_from(&bench.stage.join(busybox_path()), &mut tree, "usr/bin");
    bench.stage_base(Base::Network, &tree)
}

/// Adds busybox and the names under which it is called to an image's `folder`.
///
/// # Errors
/// Busybox is not in the mirror.
pub fn add_busybox(bench: &Workbench<'_>, tree: &mut FileTree, folder: &str) -> Result<(), Error> {
    let busybox = bench.mirror.join(busybox_path());
    std::fs::metadata(&busybox).map_err(Error::file("read", &busybox))?;
    add_busybox_from(&busybox, tree, folder);
    Ok(())
}

fn add_busybox_from(busybox: &Path, tree: &mut FileTree, folder: &str) {
    tree.program(&format!("{folder}/busybox"), busybox);
    for tool in BUSYBOX_TOOLS {
        tree.link(&format!("{folder}/{tool}"), "busybox");
    }
}

fn busybox_path() -> String {
    format!("{PRIVATE}/base/busybox")
}

/// Fetches packages and unpacks them into one folder, with what they depend on if wanted.
fn unpack(
    bench: &Workbench<'_>,
    name: &str,
    packages: &[&str],
    with_dependencies: bool,
) -> Result<PathBuf, Error> {
    let archives = bench.folder(&format!("{name}-packages"))?;
    let root = bench.folder(name)?;
    let mut wanted: BTreeSet<String> = packages.iter().map(|&name| name.to_owned()).collect();
    if with_dependencies {
        bench.shell.say("apt: finding dependencies");
        let mut todo: Vec<_> = wanted.iter().cloned().collect();
        while !todo.is_empty() {
            todo = dependencies(bench, &archives, &todo)?;
            todo.retain(|dependency| wanted.insert(dependency.clone()));
        }
    }
    bench
        .shell
        .say(&format!("apt: fetching {} package(s)", wanted.len()));
    bench.shell.run(
        command_in(&archives, "apt-get")
            .args(["download", "--option", "APT::Sandbox::User=root"])
            .args(&wanted),
    )?;
    // Programs and libraries live below /usr only, whichever way a package still has it.
    for folder in ["bin", "lib", "lib64", "sbin"] {
        let real = root.join("usr").join(folder);
        std::fs::create_dir_all(&real).map_err(Error::file("create", &real))?;
        let link = root.join(folder);
        std::os::unix::fs::symlink(format!("usr/{folder}"), &link)
            .map_err(Error::file("create", &link))?;
    }
    // `dpkg-deb --extract` would replace those links by folders.
    let script = "set -e; for package in *.deb; do \
        dpkg-deb --fsys-tarfile \"$package\" > content.tar; \
        tar --extract --file content.tar --directory \"$1\" --keep-directory-symlink --no-same-owner; \
        done";
    let mut unpacking = command_in(&archives, "sh");
    unpacking.args(["-c", script, "sh"]).arg(&root);
    bench.shell.run(&mut unpacking)?;
    Ok(root)
}

/// Returns the packages that others depend on, the first of each alternative.
fn dependencies(
    bench: &Workbench<'_>,
    at: &Path,
    packages: &[String],
) -> Result<Vec<String>, Error> {
    let answer = bench.shell.capture(
        command_in(at, "apt-cache")
            .args(["depends", "--important"])
            .args(packages)
            .env("LC_ALL", "C"),
    )?;
    Ok(parse_dependencies(&answer))
}

fn parse_dependencies(answer: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_alternative = false;
    for line in answer.lines().map(str::trim) {
        let bare = line.trim_start_matches('|');
        let Some(package) = ["Depends: ", "PreDepends: "]
            .iter()
            .find_map(|label| bare.strip_prefix(label))
        else {
            continue;
        };
        let is_virtual = package.starts_with('<');
        if !is_alternative && !is_virtual && !INSTALLATION_ONLY.contains(&package) {
            found.push(package.to_owned());
        }
        // A bar says that the next line is another way to fulfil the same need.
        is_alternative = line.starts_with('|') && !is_virtual;
    }
    found
}

/// Makes sure that the layer needs nothing of the machine it was made on.
fn check_libraries(bench: &Workbench<'_>, root: &Path) -> Result<(), Error> {
    let libraries = root.join("usr/lib").join(triplet(bench.architecture));
    let loader = match bench.architecture {
        Architecture::Amd64 => "ld-linux-x86-64.so.2",
        Architecture::Arm64 => "ld-linux-aarch64.so.1",
    };
    for program in CHECKED {
        let mut command = command_in(root, "sh");
        command
            .args(["-c", "exec \"$@\"", "sh"])
            .arg(libraries.join(loader))
            .args(["--inhibit-cache", "--library-path"])
            .arg(&libraries)
            .arg("--list")
            .arg(root.join(program));
        let report = bench.shell.capture(&mut command)?;
        let strangers: String = report
            .lines()
            .filter(|line| line.contains("=>") && !line.contains(&*root.to_string_lossy()))
            .map(|line| format!("  {}\n", line.trim()))
            .collect();
        if !strangers.is_empty() {
            return Err(Error::MissingLibrary {
                program,
                report: strangers,
            });
        }
    }
    Ok(())
}

fn triplet(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x86_64-linux-gnu",
        Architecture::Arm64 => "aarch64-linux-gnu",
    }
}

/// Returns all certificate authorities of the unpacked package in one text.
fn certificates(root: &Path) -> Result<Vec<u8>, Error> {
    let folder = root.join("usr/share/ca-certificates/mozilla");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
        files.push(entry.map_err(Error::file("read", &folder))?.path());
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(std::fs::read(&file).map_err(Error::file("read", &file))?);
    }
    Ok(all)
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_real_package_of_each_alternative_is_taken() {
        let answer = "libssl3\n  Depends: libc6\n |Depends: debconf\n  Depends: <debconf-2.0>\n    \
            cdebconf\n  PreDepends: libfoo\n |Depends: a\n  Depends: b\n  Suggests: c\n";
        assert_eq!(parse_dependencies(answer), ["libc6", "libfoo", "a"]);
    }
}
