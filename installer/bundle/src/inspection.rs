//! What is in a bundle, as a table.

use std::collections::BTreeMap;

use serde::Serialize;
use slipway_api::{Architecture, Blob, BundleManifest, KubernetesVersion, Release, Sha256Digest};

use crate::downloads;

/// The contents of a bundle or source, for people and for `-o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The version of the `slipway` that made it.
    pub created_by: String,
    /// The Kubernetes versions that can be installed from it.
    pub kubernetes_versions: Vec<KubernetesVersion>,
    /// Executables and archives, then images.
    pub rows: Vec<InspectionRow>,
    /// The number of different blobs.
    pub blobs: usize,
    /// The bytes of all different blobs.
    pub total_size: u64,
    /// The bytes that are saved because Kubernetes versions share blobs.
    pub shared_size: u64,
}

/// One executable, archive or image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectionRow {
    /// What it is.
    pub kind: RowKind,
    /// Its name; of images the reference without the tag.
    pub name: String,
    /// Its version; of images the tag.
    pub version: String,
    /// The architecture it runs on.
    pub architecture: Architecture,
    /// The digest of the file or of the image's manifest.
    pub sha256: Sha256Digest,
    /// Its bytes, blobs shared with others included.
    pub size: u64,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// An executable.
    Executable,
    /// An archive.
    Archive,
    /// A container image.
    Image,
}

impl Inspection {
    /// Returns the contents that `manifest` names.
    pub fn of(manifest: &BundleManifest) -> Self {
        let blobs = manifest.blobs();
        let total_size = blobs.iter().map(|blob| blob.size).sum();
        Self {
            created_by: manifest.created_by.clone(),
            kubernetes_versions: manifest.kubernetes_versions.clone(),
            rows: rows(manifest),
            blobs: blobs.len(),
            total_size,
            shared_size: shared_size(manifest),
        }
    }
}

fn rows(manifest: &BundleManifest) -> Vec<InspectionRow> {
    let artifacts = manifest.artifacts.iter().map(|artifact| InspectionRow {
        kind: match artifact.members.is_empty() {
            true => RowKind::Executable,
            false => RowKind::Archive,
        },
        name: artifact.name.clone(),
        version: artifact.version.clone(),
        architecture: artifact.architecture,
        sha256: artifact.blob.sha256,
        size: artifact.blob.size,
    });
    let images = manifest.images.iter().map(|image| InspectionRow {
        kind: RowKind::Image,
        name: format!(
            "{}/{}",
            image.reference.registry(),
            image.reference.repository()
        ),
        version: image.reference.tag().to_owned(),
        architecture: image.architecture,
        sha256: image.manifest.blob.sha256,
        size: sum(image.blobs()),
    });
    artifacts.chain(images).collect()
}

/// Returns by how much the versions, each alone, would be larger than together.
fn shared_size(manifest: &BundleManifest) -> u64 {
    let each: Vec<Vec<Blob>> = manifest
        .kubernetes_versions
        .iter()
        .map(|version| blobs_of(manifest, version))
        .collect();
    let alone: u64 = each.iter().map(|blobs| sum(blobs.clone())).sum();
    alone - sum(each.concat())
}

/// Returns the blobs that `version` needs, in all architectures.
fn blobs_of(manifest: &BundleManifest, version: &KubernetesVersion) -> Vec<Blob> {
    let Ok(release) = Release::of(version) else {
        return Vec::new();
    };
    let mut blobs = Vec::new();
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let files = downloads(&release, architecture);
        let artifacts = files
            .iter()
            .filter_map(|file| manifest.artifact(file.name, &file.version, architecture));
        blobs.extend(artifacts.map(|artifact| artifact.blob));
        let references = release
            .control_plane_images()
            .into_iter()
            .chain(release.node_images());
        for reference in references {
            blobs.extend(
                manifest
                    .image(&reference, architecture)
                    .into_iter()
                    .flat_map(|image| image.blobs()),
            );
        }
    }
    blobs
}

/// Returns the bytes of all different blobs.
fn sum(blobs: impl IntoIterator<Item = Blob>) -> u64 {
    let sizes: BTreeMap<Sha256Digest, u64> = blobs
        .into_iter()
        .map(|blob| (blob.sha256, blob.size))
        .collect();
    sizes.values().sum()
}
