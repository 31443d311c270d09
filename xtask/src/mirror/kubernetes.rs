//! Kubernetes' programs from its Go modules, and the images made of them.

use std::path::Path;

use slipway_api::{KubernetesVersion, Release};

use super::file_tree::FileTree;
use super::go_build::{GoBuild, fetch};
use super::workbench::{Base, Start, Workbench};
use crate::error::Error;

/// Raised when the way the programs are built changes.
pub const REVISION: u32 = 1;
/// Raised when the way the images are made changes.
pub const IMAGES_REVISION: u32 = 1;

/// The module that holds Kubernetes.
pub const MODULE: &str = "k8s.io/kubernetes";

/// The programs that the download site offers and nodes or their images need.
const PROGRAMS: [&str; 7] = [
    "kubeadm",
    "kubectl",
    "kubelet",
    "kube-proxy",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// Builds the programs of `version` and stages them with their checksums.
///
/// # Errors
/// The module cannot be fetched or built.
pub fn build(bench: &Workbench<'_>, version: &KubernetesVersion) -> Result<(), Error> {
    let packages = PROGRAMS.map(|program| format!("cmd/{program}"));
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    let go_build = go_build(bench, version, &packages)?;
    let built = go_build.build(&bench.shell, &bench.folder("go")?)?;
    bench.shell.say("taking checksums");
    for program in PROGRAMS {
        let path = program_path(bench, version, program);
        bench.stage_program(&built.join(program), &path)?;
        // The download site's checksum files hold the digits and nothing else.
        bench.stage_text(&format!("{path}.sha256"), &bench.staged_digest(&path)?)?;
    }
    Ok(())
}

/// Returns how programs of Kubernetes' own module are built.
///
/// # Errors
/// The module cannot be fetched.
pub fn go_build(
    bench: &Workbench<'_>,
    version: &KubernetesVersion,
    packages: &[&str],
) -> Result<GoBuild, Error> {
    let number = version.to_string();
    bench.shell.say("go: fetching Kubernetes");
    let module = fetch(&bench.shell, &bench.folder("fetch")?, MODULE, &number)?;
    let mut build = GoBuild::of(MODULE, &number, packages, &version_flags(version));
    build.replaces = staging_replaces(&module.go_mod, version);
    Ok(build)
}

/// Makes the images of a release's programs.
///
/// # Errors
/// The programs or a base layer are not in the mirror.
pub fn build_images(bench: &Workbench<'_>, release: &Release) -> Result<(), Error> {
    for (program, base) in [
        ("kube-apiserver", Base::Common),
        ("kube-controller-manager", Base::Common),
        ("kube-scheduler", Base::Common),
        ("kube-proxy", Base::Network),
    ] {
        let from = program_path(bench, &release.kubernetes, program);
        let mut tree = FileTree::default();
        tree.program(
            &format!("usr/local/bin/{program}"),
            &bench.mirror.join(Path::new(&from)),
        );
        // kubeadm's manifests name the program themselves, so there is no entrypoint.
        let start = Start {
            command: vec![program],
            ..Start::default()
        };
        bench.stage_image(&release.component_image(program), base, &tree, start)?;
    }
    Ok(())
}

fn program_path(bench: &Workbench<'_>, version: &KubernetesVersion, program: &str) -> String {
    format!(
        "dl.k8s.io/release/{version}/bin/linux/{}/{program}",
        bench.architecture
    )
}

/// Returns linker flags that tell the programs their version, as the release scripts do.
fn version_flags(version: &KubernetesVersion) -> String {
    [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ]
    .map(|package| {
        format!(
            "-X {package}.gitVersion={version} -X {package}.gitMajor=1 \
                 -X {package}.gitMinor={} -X {package}.gitTreeState=clean",
            version.minor()
        )
    })
    .join(" ")
}

/// Returns replacements for the modules that live in Kubernetes' own tree.
///
/// Its `go.mod` requires them as `v0.0.0`; they are published as `v0.MINOR.PATCH`.
fn staging_replaces(go_mod: &str, version: &KubernetesVersion) -> Vec<String> {
    go_mod
        .lines()
        .filter_map(|line| line.trim().strip_suffix(" v0.0.0"))
        .map(|line| line.trim_start_matches("require "))
        .filter(|module| module.starts_with("k8s.io/"))
        .map(|module| {
            format!(
                "{module} => {module} v0.{}.{}",
                version.minor(),
                version.patch()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_kubernetes_own_tree_are_replaced_by_their_published_versions() {
        let go_mod = "require (\n\tk8s.io/api v0.0.0\n\tk8s.io/klog/v2 v2.140.0\n)\n";
        assert_eq!(
            staging_replaces(go_mod, &KubernetesVersion::new(36, 3)),
            ["k8s.io/api => k8s.io/api v0.36.3"]
        );
    }

    #[test]
    fn programs_are_told_their_full_version_and_its_parts() {
        let flags = version_flags(&KubernetesVersion::new(35, 4));
        assert!(flags.contains("-X k8s.io/component-base/version.gitVersion=v1.35.4 "));
        assert!(flags.contains("-X k8s.io/client-go/pkg/version.gitMinor=35 "));
    }
}
