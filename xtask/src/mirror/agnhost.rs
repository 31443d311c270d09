//! agnhost, the many-sided program of Kubernetes' own end-to-end tests, for Pods in ours.

use slipway_api::{ImageReference, KubernetesVersion};

use super::debian_base::add_busybox;
use super::file_tree::FileTree;
use super::kubernetes;
use super::workbench::{Base, Start, Workbench};
use crate::error::Error;

/// Raised when the way this is built changes.
pub const REVISION: u32 = 1;

/// The image's tag, from `test/images/agnhost/VERSION` of the Kubernetes version below.
pub const TAG: &str = "2.63.0";

/// The Kubernetes version whose agnhost this is, whatever versions the mirror holds.
const KUBERNETES: (u64, u64) = (36, 3);

/// Builds agnhost and stages its image.
///
/// Besides the program the image holds busybox, so that tests find a shell,
/// `wget` and `nslookup` in it.
///
/// # Errors
/// Kubernetes' module cannot be fetched or built.
pub fn build(bench: &Workbench<'_>) -> Result<(), Error> {
    let version = KubernetesVersion::new(KUBERNETES.0, KUBERNETES.1);
    let go_build = kubernetes::go_build(bench, &version, &["test/images/agnhost"])?;
    let built = go_build.build(&bench.shell, &bench.folder("go")?)?;
    let mut tree = FileTree::default();
    tree.program("agnhost", &built.join("agnhost"))
        .directory("uploads", 0o755);
    add_busybox(bench, &mut tree, "bin")?;
    let start = Start {
        command: vec!["pause"],
        ..Start::program("/agnhost")
    };
    let reference = ImageReference::new("registry.k8s.io", "e2e-test-images/agnhost", TAG);
    bench.stage_image(&reference, Base::Common, &tree, start)
}
