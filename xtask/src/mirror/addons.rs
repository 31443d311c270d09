//! The images of the addons: CoreDNS, flannel and metrics-server.

use slipway_api::{FLANNEL_VERSION, METRICS_SERVER_VERSION, Release};

use super::debian_base::add_busybox;
use super::file_tree::FileTree;
use super::go_build::GoBuild;
use super::workbench::{Base, Start, Workbench};
use crate::error::Error;

/// Raised when the way CoreDNS is built changes.
pub const COREDNS_REVISION: u32 = 1;
/// Raised when the way flannel is built changes.
pub const FLANNEL_REVISION: u32 = 1;
/// Raised when the way metrics-server is built changes.
pub const METRICS_SERVER_REVISION: u32 = 1;

const COREDNS: &str = "github.com/coredns/coredns";
const FLANNEL: &str = "github.com/flannel-io/flannel";
const METRICS_SERVER: &str = "sigs.k8s.io/metrics-server";
const CNI_PLUGINS: &str = "github.com/containernetworking/plugins";

/// The last version of the reference CNI plugins that held flannel's own plugin.
const CNI_PLUGINS_WITH_FLANNEL: &str = "v0.9.1";

/// A library of flannel's that its own version of cannot be had everywhere, and one that can.
const TENCENT: &str = "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud";
const TENCENT_COMMON_VERSION: &str = "v1.3.103";

/// The stand-in for the other library, see its own comment.
const STUB_GO_MOD: &str = include_str!("../../flannel-stub/go.mod");
const STUB_SOURCE: &str = include_str!("../../flannel-stub/v20170312/vpc.go");

/// Builds CoreDNS and stages its image.
///
/// # Errors
/// The module cannot be fetched or built.
pub fn build_coredns(bench: &Workbench<'_>, release: &Release) -> Result<(), Error> {
    let built = GoBuild::of(COREDNS, release.coredns_tag, &[""], "")
        .build(&bench.shell, &bench.folder("go")?)?;
    let mut tree = FileTree::default();
    tree.program("coredns", &built.join("coredns"));
    // As root: the Deployment drops every capability but NET_BIND_SERVICE, which
    // another user would only have where the runtime opens low ports to everyone.
    bench.stage_image(
        &release.coredns_image(),
        Base::Common,
        &tree,
        Start::program("/coredns"),
    )
}

/// Builds flannel and its CNI plugin and stages their images.
///
/// # Errors
/// A module cannot be fetched or built.
pub fn build_flannel(bench: &Workbench<'_>) -> Result<(), Error> {
    let folder = bench.folder("flannel")?;
    let stub = bench.folder("flannel/stub/v20170312")?.join("vpc.go");
    std::fs::write(&stub, STUB_SOURCE).map_err(Error::file("write", &stub))?;
    let stub = folder.join("stub/go.mod");
    std::fs::write(&stub, STUB_GO_MOD).map_err(Error::file("write", &stub))?;

    let version = format!("v{FLANNEL_VERSION}");
    let flags = format!("-X {FLANNEL}/pkg/version.Version={version} -extldflags -static");
    let mut go_build = GoBuild::of(FLANNEL, &version, &[""], &flags);
    go_build.replaces = vec![
        format!("{TENCENT}/common => {TENCENT}/common {TENCENT_COMMON_VERSION}"),
        format!("{TENCENT}/vpc => ./stub"),
    ];
    // Its udp backend is C code on this architecture and cannot be left out.
    go_build.cgo = true;
    go_build.tags = "netgo,osusergo";
    let built = go_build.build(&bench.shell, &folder)?;
    let mut tree = FileTree::default();
    tree.program("opt/bin/flanneld", &built.join("flannel"));
    let image = Release::flannel_image();
    bench.stage_image(
        &image,
        Base::Network,
        &tree,
        Start::program("/opt/bin/flanneld"),
    )?;

    let flags = format!("-X {CNI_PLUGINS}/pkg/utils/buildversion.BuildVersion={version}");
    let plugin = ["plugins/meta/flannel"];
    let built = GoBuild::of(CNI_PLUGINS, CNI_PLUGINS_WITH_FLANNEL, &plugin, &flags)
        .build(&bench.shell, &bench.folder("plugin")?)?;
    let mut tree = FileTree::default();
    tree.program("flannel", &built.join("flannel"));
    // An init container copies the plugin to the node with this image's `cp`.
    add_busybox(bench, &mut tree, "bin")?;
    let image = Release::flannel_cni_plugin_image();
    bench.stage_image(&image, Base::Common, &tree, Start::default())
}

/// Builds metrics-server and stages its image.
///
/// # Errors
/// The module cannot be fetched or built.
pub fn build_metrics_server(bench: &Workbench<'_>) -> Result<(), Error> {
    let version = format!("v{METRICS_SERVER_VERSION}");
    let flags = format!("-X k8s.io/client-go/pkg/version.gitVersion={version}");
    let built = GoBuild::of(METRICS_SERVER, &version, &["cmd/metrics-server"], &flags)
        .build(&bench.shell, &bench.folder("go")?)?;
    let mut tree = FileTree::default();
    tree.program("metrics-server", &built.join("metrics-server"));
    let start = Start {
        user: "65534",
        ..Start::program("/metrics-server")
    };
    bench.stage_image(&Release::metrics_server_image(), Base::Common, &tree, start)
}
