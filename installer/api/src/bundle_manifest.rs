//! The table of contents of a bundle: which blobs are what.

use serde::{Deserialize, Serialize};

use crate::{Architecture, Blob, ImageReference, KubernetesVersion, Sha256Digest};

/// Lists everything that a bundle or release source holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleManifest {
    /// The format's number; [`BundleManifest::FORMAT`] for this build.
    pub format: u32,
    /// The version of the `slipway` that made the bundle.
    pub created_by: String,
    /// The Kubernetes versions that can be installed from it.
    pub kubernetes_versions: Vec<KubernetesVersion>,
    /// Executables and archives.
    pub artifacts: Vec<Artifact>,
    /// Container images.
    pub images: Vec<Image>,
}

/// A downloadable file: an executable, or an archive that is unpacked on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifact {
    /// What it is: `kubelet`, `kubeadm`, `kubectl`, `containerd`, `runc`,
    /// `cni-plugins`, `etcdutl` or `slipway`.
    pub name: String,
    /// Its version as its project writes it: `v1.36.3`, `2.4.2`.
    pub version: String,
    /// The architecture it runs on.
    pub architecture: Architecture,
    /// Where it came from.
    pub source: String,
    /// The bytes: the executable itself, or the gzip-compressed tar archive.
    pub blob: Blob,
    /// For archives, the regular files inside, so that an installation can be
    /// compared without unpacking again; empty for executables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<ArchiveMember>,
}

/// A regular file in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveMember {
    /// The path inside the archive, without a leading `./`.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// The digest of the file's bytes.
    pub sha256: Sha256Digest,
    /// The number of bytes.
    pub size: u64,
}

/// A container image for one architecture: its manifest and everything that
/// the manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// The full name under which the container runtime knows it.
    pub reference: ImageReference,
    /// The architecture it runs on.
    pub architecture: Architecture,
    /// The image manifest.
    pub manifest: ImageBlob,
    /// The image configuration.
    pub config: ImageBlob,
    /// The layers, lowest first.
    pub layers: Vec<ImageBlob>,
}

/// A blob of an image, with the media type its manifest gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageBlob {
    /// The OCI or Docker media type.
    pub media_type: String,
    /// The bytes.
    #[serde(flatten)]
    pub blob: Blob,
}

impl BundleManifest {
    /// The number of the format that this build reads and writes.
    pub const FORMAT: u32 = 1;

    /// Returns the artifact `name` in `version` for `architecture`.
    pub fn artifact(
        &self,
        name: &str,
        version: &str,
        architecture: Architecture,
    ) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| {
            artifact.name == name
                && artifact.version == version
                && artifact.architecture == architecture
        })
    }

    /// Returns the newest artifact `name` for `architecture`, whatever its version.
    pub fn any_artifact(&self, name: &str, architecture: Architecture) -> Option<&Artifact> {
        self.artifacts
            .iter()
            .rfind(|artifact| artifact.name == name && artifact.architecture == architecture)
    }

    /// Returns the image `reference` for `architecture`.
    pub fn image(&self, reference: &ImageReference, architecture: Architecture) -> Option<&Image> {
        self.images
            .iter()
            .find(|image| image.reference == *reference && image.architecture == architecture)
    }

    /// Returns every blob once, in the order in which they are first named.
    pub fn blobs(&self) -> Vec<Blob> {
        let mut seen = std::collections::BTreeSet::new();
        let artifacts = self.artifacts.iter().map(|artifact| artifact.blob);
        let images = self.images.iter().flat_map(Image::blobs);
        artifacts
            .chain(images)
            .filter(|blob| seen.insert(blob.sha256))
            .collect()
    }
}

impl Image {
    /// Returns manifest, configuration and layers.
    pub fn blobs(&self) -> Vec<Blob> {
        std::iter::once(&self.manifest)
            .chain(std::iter::once(&self.config))
            .chain(&self.layers)
            .map(|part| part.blob)
            .collect()
    }
}
