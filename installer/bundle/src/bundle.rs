//! A bundle file, opened.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use slipway_api::{Blob, BundleManifest, Image, Sha256Digest};
use tokio::io::AsyncReadExt;

use crate::bundle_index::{BundleIndex, index_bundle};
use crate::image_manifest::{ImageDocument, parse_image_document};
use crate::verified_reader::BlobRange;
use crate::{BlobReader, BlobStore, BundleError, Transfer, TransferSink, owner_of};

/// How many blobs are verified at once.
const PARALLEL: usize = 2;
/// How many bytes are read at once while verifying.
const CHUNK: usize = 1 << 20;

/// A bundle file whose manifest and entries fit each other.
pub struct Bundle {
    path: PathBuf,
    file: Arc<File>,
    manifest: BundleManifest,
    offsets: HashMap<Sha256Digest, u64>,
}

impl Bundle {
    /// Opens the bundle at `path`; reads its manifest and headers, but no blob.
    ///
    /// # Errors
    /// It is no bundle, of another format, cut, or its entries are not exactly those of its
    /// manifest.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(BundleError::file("read", path))?;
        let BundleIndex { manifest, offsets } = index_bundle(&file, path)?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            manifest,
            offsets,
        })
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a reader of `blob`; several may be open at once. The read at its end fails
    /// unless the bytes were right.
    ///
    /// # Errors
    /// The bundle does not hold `blob`.
    pub fn reader(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        let offset = self
            .offsets
            .get(&blob.sha256)
            .ok_or_else(|| BundleError::UnknownBlob {
                store: self.path.display().to_string(),
                blob: *blob,
            })?;
        Ok(BlobRange {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            offset: *offset,
            blob: *blob,
            owner: owner_of(&self.manifest, &blob.sha256),
        }
        .reader())
    }

    /// Reads every blob and compares digests, then each image's manifest with the bundle's.
    ///
    /// # Errors
    /// Returns every damaged blob.
    pub async fn verify(&self, sink: &TransferSink) -> Result<(), Vec<BundleError>> {
        let blobs = self.manifest.blobs();
        let total = blobs.iter().map(|blob| blob.size).sum();
        let done = AtomicU64::new(0);
        let name = self.path.display().to_string();
        let report = |bytes: u64| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            sink(Transfer {
                name: name.clone(),
                done,
                total: Some(total),
            });
        };
        let report = &report;
        let mut errors: Vec<BundleError> = futures::stream::iter(blobs)
            .map(|blob| async move { self.verify_blob(&blob, report).await.err() })
            .buffered(PARALLEL)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if errors.is_empty() {
            for image in &self.manifest.images {
                errors.extend(self.verify_image(image).await.err());
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(errors),
        }
    }

    async fn verify_blob(
        &self,
        blob: &Blob,
        report: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), BundleError> {
        let mut reader = self.reader(blob)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = reader
                .read(&mut buffer)
                .await
                .map_err(BundleError::file("read", &self.path))?;
            if read == 0 {
                return Ok(());
            }
            report(read as u64);
        }
    }

    /// Checks that configuration and layers in the manifest of `image` are the bundle's.
    async fn verify_image(&self, image: &Image) -> Result<(), BundleError> {
        let mut bytes = Vec::new();
        self.reader(&image.manifest.blob)?
            .read_to_end(&mut bytes)
            .await
            .map_err(BundleError::file("read", &self.path))?;
        let invalid = |reason| BundleError::Image {
            reference: image.reference.clone(),
            reason,
        };
        match parse_image_document(&bytes).map_err(invalid)? {
            ImageDocument::Manifest(manifest)
                if manifest.config == image.config && manifest.layers == image.layers =>
            {
                Ok(())
            }
            ImageDocument::Manifest(_) | ImageDocument::Index(_) => Err(invalid(
                "its manifest names other blobs than the bundle's manifest".to_owned(),
            )),
        }
    }
}

#[async_trait]
impl BlobStore for Bundle {
    fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        self.reader(blob)
    }
}
