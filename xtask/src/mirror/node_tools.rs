//! What nodes need besides Kubernetes: containerd, runc and the CNI plugins.

use slipway_api::{CNI_PLUGINS_VERSION, CONTAINERD_VERSION, RUNC_VERSION};

use super::file_tree::FileTree;
use super::go_build::{GoBuild, fetch};
use super::workbench::Workbench;
use crate::error::Error;

/// Raised when the way containerd is built changes.
pub const CONTAINERD_REVISION: u32 = 1;
/// Raised when the way runc is built changes.
pub const RUNC_REVISION: u32 = 1;
/// Raised when the way the CNI plugins are built changes.
pub const CNI_PLUGINS_REVISION: u32 = 1;

const CONTAINERD: &str = "github.com/containerd/containerd/v2";
const RUNC: &str = "github.com/opencontainers/runc";
const CNI_PLUGINS: &str = "github.com/containernetworking/plugins";

/// The plugins for Linux, by their folders in the module.
const PLUGINS: [(&str, &[&str]); 3] = [
    ("ipam", &["dhcp", "host-local", "static"]),
    (
        "main",
        &[
            "bridge",
            "dummy",
            "host-device",
            "ipvlan",
            "loopback",
            "macvlan",
            "ptp",
            "tap",
            "vlan",
        ],
    ),
    (
        "meta",
        &["bandwidth", "firewall", "portmap", "sbr", "tuning", "vrf"],
    ),
];

/// Builds containerd and stages its release archive.
///
/// # Errors
/// The module cannot be fetched or built.
pub fn build_containerd(bench: &Workbench<'_>) -> Result<(), Error> {
    const PROGRAMS: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];
    let version = format!("v{CONTAINERD_VERSION}");
    let packages = PROGRAMS.map(|program| format!("cmd/{program}"));
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    let flags = format!("-X {CONTAINERD}/version.Version={version}");
    let built = GoBuild::of(CONTAINERD, &version, &packages, &flags)
        .build(&bench.shell, &bench.folder("go")?)?;
    let mut tree = FileTree::default();
    for program in PROGRAMS {
        tree.program(&format!("bin/{program}"), &built.join(program));
    }
    let folder = format!("github.com/containerd/containerd/releases/download/{version}");
    let name = format!(
        "containerd-{CONTAINERD_VERSION}-linux-{}.tar.gz",
        bench.architecture
    );
    let line = bench.stage_archive(&tree, &folder, &name)?;
    bench.stage_text(&format!("{folder}/{name}.sha256sum"), &line)
}

/// Builds runc, statically and with seccomp, and stages it.
///
/// # Errors
/// The module cannot be fetched or built.
pub fn build_runc(bench: &Workbench<'_>) -> Result<(), Error> {
    let version = format!("v{RUNC_VERSION}");
    let mut go_build = GoBuild::of(RUNC, &version, &[""], "-extldflags -static");
    go_build.tags = "seccomp,netgo,osusergo,urfave_cli_no_docs";
    go_build.cgo = true;
    let built = go_build.build(&bench.shell, &bench.folder("go")?)?;
    let folder = format!("github.com/opencontainers/runc/releases/download/{version}");
    let name = format!("runc.{}", bench.architecture);
    let path = format!("{folder}/{name}");
    bench.stage_program(&built.join("runc"), &path)?;
    let line = format!("{}  {name}\n", bench.staged_digest(&path)?);
    bench.stage_text(&format!("{folder}/runc.sha256sum"), &line)
}

/// Builds the reference CNI plugins and stages their release archive.
///
/// # Errors
/// The module cannot be fetched or built.
pub fn build_cni_plugins(bench: &Workbench<'_>) -> Result<(), Error> {
    let version = format!("v{CNI_PLUGINS_VERSION}");
    let packages: Vec<_> = PLUGINS
        .iter()
        .flat_map(|(kind, names)| {
            names
                .iter()
                .map(move |name| format!("plugins/{kind}/{name}"))
        })
        .collect();
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    let flags = format!("-X {CNI_PLUGINS}/pkg/utils/buildversion.BuildVersion={version}");
    let go_build = GoBuild::of(CNI_PLUGINS, &version, &packages, &flags);
    let built = go_build.build(&bench.shell, &bench.folder("go")?)?;
    let mut tree = FileTree::default();
    for (_, names) in PLUGINS {
        for name in names {
            tree.program(name, &built.join(name));
        }
    }
    let module = fetch(&bench.shell, &bench.folder("fetch")?, CNI_PLUGINS, &version)?;
    let licence = module.directory.join("LICENSE");
    let text = std::fs::read(&licence).map_err(Error::file("read", &licence))?;
    tree.text("LICENSE", text, 0o644);
    let folder = format!("{CNI_PLUGINS}/releases/download/{version}");
    let name = format!("cni-plugins-linux-{}-{version}.tgz", bench.architecture);
    let line = bench.stage_archive(&tree, &folder, &name)?;
    bench.stage_text(&format!("{folder}/{name}.sha256"), &line)
}
