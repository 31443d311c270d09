//! etcd's release archive and its image.

use slipway_api::Release;

use super::file_tree::FileTree;
use super::go_build::GoBuild;
use super::workbench::{Base, Start, Workbench};
use crate::error::Error;

/// Raised when the way this is built changes.
pub const REVISION: u32 = 1;

const PROGRAMS: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];

/// Builds the server and its two tools and stages the archive and the image.
///
/// # Errors
/// A module cannot be fetched or built.
pub fn build(bench: &Workbench<'_>, release: &Release) -> Result<(), Error> {
    let version = format!("v{}", release.etcd_version());
    let modules = ["server", "etcdctl", "etcdutl"].map(|name| format!("go.etcd.io/etcd/{name}/v3"));
    let mut go_build = GoBuild::of(&modules[0], &version, &[], "");
    go_build.modules = modules
        .iter()
        .map(|module| (module.clone(), version.clone()))
        .collect();
    go_build.packages = modules.to_vec();
    let built = go_build.build(&bench.shell, &bench.folder("go")?)?;
    // Go names a program after its folder, upstream's release calls this one etcd.
    let server = built.join("server");
    std::fs::rename(&server, built.join("etcd")).map_err(Error::file("rename", &server))?;

    let name = format!("etcd-{version}-linux-{}", bench.architecture);
    let mut archive = FileTree::default();
    let mut image = FileTree::default();
    for program in PROGRAMS {
        archive.program(&format!("{name}/{program}"), &built.join(program));
        image.program(&format!("usr/local/bin/{program}"), &built.join(program));
    }
    let folder = format!("github.com/etcd-io/etcd/releases/download/{version}");
    let line = bench.stage_archive(&archive, &folder, &format!("{name}.tar.gz"))?;
    bench.stage_text(&format!("{folder}/SHA256SUMS"), &line)?;

    let start = Start {
        command: vec!["etcd"],
        ..Start::default()
    };
    bench.stage_image(&release.etcd_image(), Base::Common, &image, start)
}
