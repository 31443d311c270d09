//! What a source holds for some Kubernetes versions, fetched as it is needed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use slipway_api::{
    Architecture, Artifact, Blob, BundleManifest, Image, ImageReference, KubernetesVersion,
    Release, Sha256Digest,
};

use crate::archive_members::archive_members;
use crate::depot::{Depot, ImageBlobKind};
use crate::elf::{ELF_HEADER, elf_architecture};
use crate::image_resolver::resolve_image;
use crate::verified_reader::{BlobRange, hash_file};
use crate::{
    BlobReader, BlobStore, BundleError, Download, DownloadKind, FetchOptions, Source, TransferSink,
    downloads, owner_of,
};

/// How many files are fetched at once.
const PARALLEL: usize = 4;

/// What is wanted from which source.
#[derive(Clone, Debug)]
pub struct SourceRequest {
    /// The Kubernetes versions; order and repetition do not matter.
    pub versions: Vec<KubernetesVersion>,
    /// The architectures; order and repetition do not matter.
    pub architectures: Vec<Architecture>,
    /// Where everything but `slipway` comes from.
    pub source: Source,
    /// Images to add to those of `standard_images`.
    pub images: Vec<ImageReference>,
    /// Whether the images are wanted that Kubernetes and its addons have by default.
    pub standard_images: bool,
    /// The `slipway` executables to put in; may be empty.
    pub slipway: BTreeMap<Architecture, PathBuf>,
    /// The download cache; see [`default_download_cache`](crate::default_download_cache).
    pub cache: PathBuf,
    /// How to download.
    pub fetch: FetchOptions,
}

/// The files and images of some Kubernetes versions at a source.
pub struct SourceSet {
    depot: Arc<Depot>,
    manifest: BundleManifest,
    // Layers stand here once fetched; until then their image leads to them.
    files: HashMap<Sha256Digest, PathBuf>,
    layers: HashMap<Sha256Digest, ImageReference>,
}

impl SourceSet {
    /// Finds out what belongs to the versions of `request`: executables and archives are
    /// fetched into the cache and checked, of images manifest and configuration only.
    ///
    /// # Errors
    /// A version is not supported, or something is missing, wrong or out of reach.
    pub async fn resolve(request: SourceRequest, sink: TransferSink) -> Result<Self, BundleError> {
        let versions: BTreeSet<KubernetesVersion> = request.versions.iter().cloned().collect();
        let architectures: BTreeSet<Architecture> = request.architectures.iter().copied().collect();
        let mut files = Vec::new();
        let mut images = Vec::new();
        for version in &versions {
            let release = Release::of(version)?;
            for architecture in &architectures {
                files.extend(downloads(&release, *architecture));
                if request.standard_images {
                    let references = release.control_plane_images().into_iter();
                    let references = references.chain(release.node_images());
                    images.extend(references.map(|reference| (reference, *architecture)));
                }
            }
        }
        for reference in &request.images {
            images.extend(
                architectures
                    .iter()
                    .map(|architecture| (reference.clone(), *architecture)),
            );
        }
        keep_first(&mut files, Download::title);
        keep_first(&mut images, Clone::clone);

        let depot = Depot::new(request.source, &request.fetch, &request.cache, sink)?;
        let depot = Arc::new(depot);
        let mut artifacts = Vec::new();
        for (architecture, path) in &request.slipway {
            artifacts.push(slipway_artifact(*architecture, path).await?);
        }
        let fetched: Vec<(Artifact, PathBuf)> = futures::stream::iter(files)
            .map(|file| resolve_artifact(Arc::clone(&depot), file))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        artifacts.extend(fetched);
        let images: Vec<Image> = futures::stream::iter(images)
            .map(|(reference, architecture)| {
                let depot = Arc::clone(&depot);
                async move { resolve_image(&depot, &reference, architecture).await }
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;

        let files = artifacts
            .iter()
            .map(|(artifact, path)| (artifact.blob.sha256, path.clone()))
            .collect();
        let layers = images
            .iter()
            .flat_map(|image| {
                let contents = std::iter::once(&image.config).chain(&image.layers);
                contents.map(|part| (part.blob.sha256, image.reference.clone()))
            })
            .collect();
        let manifest = BundleManifest {
            format: BundleManifest::FORMAT,
            created_by: env!("CARGO_PKG_VERSION").to_owned(),
            kubernetes_versions: versions.into_iter().collect(),
            artifacts: artifacts
                .into_iter()
                .map(|(artifact, _)| artifact)
                .collect(),
            images,
        };
        Ok(Self {
            depot,
            manifest,
            files,
            layers,
        })
    }

    /// Fetches everything that is not here yet.
    ///
    /// # Errors
    /// Something is missing, wrong or out of reach; what has arrived is kept.
    pub async fn fetch_all(&self) -> Result<(), BundleError> {
        futures::stream::iter(self.manifest.blobs())
            .map(|blob| async move { self.path_of(&blob).await.map(drop) })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }

    /// Returns where the bytes of `blob` are, after fetching them if needed.
    async fn path_of(&self, blob: &Blob) -> Result<PathBuf, BundleError> {
        if let Some(path) = self.files.get(&blob.sha256) {
            return Ok(path.clone());
        }
        if let Some(image) = self.layers.get(&blob.sha256) {
            return self
                .depot
                .image_blob(image, blob, ImageBlobKind::Content)
                .await;
        }
        let image = self
            .manifest
            .images
            .iter()
            .find(|image| image.manifest.blob == *blob)
            .ok_or_else(|| BundleError::UnknownBlob {
                store: "the source".to_owned(),
                blob: *blob,
            })?;
        self.depot
            .image_blob(&image.reference, blob, ImageBlobKind::Manifest)
            .await
    }
}

#[async_trait]
impl BlobStore for SourceSet {
    fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        let path = self.path_of(blob).await?;
        let file = File::open(&path).map_err(BundleError::file("read", &path))?;
        let owner = owner_of(&self.manifest, &blob.sha256);
        Ok(BlobRange {
            file: Arc::new(file),
            path,
            offset: 0,
            blob: *blob,
            owner,
        }
        .reader())
    }
}

async fn resolve_artifact(
    depot: Arc<Depot>,
    download: Download,
) -> Result<(Artifact, PathBuf), BundleError> {
    let sha256 = depot.checksum(&download).await?;
    let (path, size) = depot.download(&download, sha256).await?;
    let members = match download.kind {
        DownloadKind::Executable => Vec::new(),
        DownloadKind::TarGz => archive_members(&path, &download.title()).await?,
    };
    let artifact = Artifact {
        name: download.name.to_owned(),
        version: download.version,
        architecture: download.architecture,
        // The upstream name, so that every source gives the same bundle.
        source: download.url,
        blob: Blob { sha256, size },
        members,
    };
    Ok((artifact, path))
}

async fn slipway_artifact(
    architecture: Architecture,
    path: &std::path::Path,
) -> Result<(Artifact, PathBuf), BundleError> {
    let refused = |reason: &str| BundleError::SlipwayBinary {
        path: path.to_owned(),
        architecture,
        reason: reason.to_owned(),
    };
    let mut header = Vec::new();
    let file = File::open(path).map_err(BundleError::file("read", path))?;
    file.take(ELF_HEADER as u64)
        .read_to_end(&mut header)
        .map_err(BundleError::file("read", path))?;
    match elf_architecture(&header) {
        Some(found) if found == architecture => {}
        Some(found) => return Err(refused(&format!("it is an executable for {found}"))),
        None => return Err(refused("it is no Linux executable for amd64 or arm64")),
    }
    let (sha256, size) = hash_file(path).await?;
    let artifact = Artifact {
        name: "slipway".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        architecture,
        source: "local build".to_owned(),
        blob: Blob { sha256, size },
        members: Vec::new(),
    };
    Ok((artifact, path.to_owned()))
}

/// Removes all but the first item of each key.
fn keep_first<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    items.retain(|item| seen.insert(key(item)));
}
