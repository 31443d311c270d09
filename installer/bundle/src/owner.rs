//! What a blob belongs to, for people.

use slipway_api::{BundleManifest, Image, Sha256Digest};

/// Returns what the blob `digest` is: `kubelet v1.36.3 (amd64)`, `layer 2 of image …`; where
/// several things share it, the first and how many others.
pub fn owner_of(manifest: &BundleManifest, digest: &Sha256Digest) -> String {
    let artifacts = manifest
        .artifacts
        .iter()
        .filter(|artifact| artifact.blob.sha256 == *digest)
        .map(|artifact| {
            format!(
                "{} {} ({})",
                artifact.name, artifact.version, artifact.architecture
            )
        });
    let images = manifest.images.iter().filter_map(|image| {
        let part = part_of(image, digest)?;
        Some(format!(
            "{part} of image {} ({})",
            image.reference, image.architecture
        ))
    });
    let mut owners = artifacts.chain(images);
    let Some(first) = owners.next() else {
        return "nothing in the manifest".to_owned();
    };
    match owners.count() {
        0 => first,
        others => format!("{first} and {others} more"),
    }
}

fn part_of(image: &Image, digest: &Sha256Digest) -> Option<String> {
    if image.manifest.blob.sha256 == *digest {
        return Some("manifest".to_owned());
    }
    if image.config.blob.sha256 == *digest {
        return Some("configuration".to_owned());
    }
    let layer = image
        .layers
        .iter()
        .position(|layer| layer.blob.sha256 == *digest)?;
    Some(format!("layer {}", layer + 1))
}
