//! Whether a store holds what a Kubernetes version needs.

use slipway_api::{Architecture, BundleManifest, KubernetesVersion, Release};

use crate::{BundleError, downloads};

/// Checks that `manifest` names everything that nodes of `version` on `architecture` need.
///
/// # Errors
/// The version is not supported, or [`BundleError::NotHeld`] names the first thing that is
/// missing and what is there instead.
pub fn require_release(
    manifest: &BundleManifest,
    version: &KubernetesVersion,
    architecture: Architecture,
) -> Result<(), BundleError> {
    let release = Release::of(version)?;
    for file in downloads(&release, architecture) {
        if manifest
            .artifact(file.name, &file.version, architecture)
            .is_none()
        {
            return Err(not_held(manifest, file.title()));
        }
    }
    let images = release
        .control_plane_images()
        .into_iter()
        .chain(release.node_images());
    for image in images {
        if manifest.image(&image, architecture).is_none() {
            return Err(not_held(
                manifest,
                format!("image {image} ({architecture})"),
            ));
        }
    }
    Ok(())
}

fn not_held(manifest: &BundleManifest, wanted: String) -> BundleError {
    let mut held: Vec<String> = manifest
        .kubernetes_versions
        .iter()
        .map(|version| format!("Kubernetes {version}"))
        .collect();
    let mut architectures: Vec<&str> = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.architecture.as_str())
        .collect();
    architectures.sort_unstable();
    architectures.dedup();
    held.push(format!("for {}", architectures.join(" and ")));
    BundleError::NotHeld {
        wanted,
        held: held.join(" "),
    }
}
