//! The pause image, compiled from the one C file in Kubernetes' module.

use slipway_api::Release;

use super::file_tree::FileTree;
use super::go_build::fetch;
use super::kubernetes;
use super::shell::command_in;
use super::workbench::{Base, Start, Workbench};
use crate::error::Error;

/// Raised when the way this is built changes.
pub const REVISION: u32 = 1;

/// Compiles the program and stages its image.
///
/// # Errors
/// Kubernetes' module cannot be fetched or the compiler fails.
pub fn build(bench: &Workbench<'_>, release: &Release) -> Result<(), Error> {
    let folder = bench.folder("pause")?;
    let version = release.kubernetes.to_string();
    let module = fetch(&bench.shell, &folder, kubernetes::MODULE, &version)?;
    let program = folder.join("pause");
    bench.shell.say("gcc: building pause");
    // The options are those of build/pause/Makefile, and `-s` instead of a strip.
    let mut compiler = command_in(&folder, "gcc");
    compiler
        .args(["-Os", "-Wall", "-static", "-s"])
        .arg(format!("-DVERSION=v{}", release.pause_tag))
        .arg("-o")
        .arg(&program)
        .arg(module.directory.join("build/pause/linux/pause.c"));
    bench.shell.run(&mut compiler)?;

    let mut tree = FileTree::default();
    tree.program("pause", &program);
    let start = Start {
        user: "65535:65535",
        ..Start::program("/pause")
    };
    bench.stage_image(&release.pause_image(), Base::Common, &tree, start)
}
