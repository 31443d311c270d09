//! Gets the files of a source: from a directory in place, from servers through the cache.

use std::path::{Path, PathBuf};

use slipway_api::{Blob, ImageReference, Sha256Digest};

use crate::checksum_file::find_checksum;
use crate::download_cache::DownloadCache;
use crate::fetcher::{Failure, Fetcher, Request};
use crate::registry::{Registry, RegistryObject};
use crate::source::{ImagePlace, Place};
use crate::verified_reader::hash_file;
use crate::{BundleError, Download, FetchOptions, Source, Transfer, TransferSink};

/// The largest checksum file, in bytes.
const MAX_CHECKSUM_FILE: u64 = 1 << 20;
/// The largest image index or manifest: what registries allow, in bytes.
const MAX_IMAGE_DOCUMENT: u64 = 4 << 20;

/// A source, made ready for use.
pub(crate) struct Depot {
    source: Source,
    // Directories need no client, and so no CA certificates on this machine either.
    fetcher: Option<Fetcher>,
    cache: DownloadCache,
    registry: Registry,
    sink: TransferSink,
}

/// What an image blob is; registries keep manifests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageBlobKind {
    /// An index or manifest.
    Manifest,
    /// A configuration or layer.
    Content,
}

impl Depot {
    /// Returns the depot of `source`, with its download cache in `cache`.
    pub(crate) fn new(
        source: Source,
        options: &FetchOptions,
        cache: &Path,
        sink: TransferSink,
    ) -> Result<Self, BundleError> {
        let fetcher = match &source {
            Source::Official | Source::Mirror(_) => Some(Fetcher::new(options)?),
            Source::Directory(_) => None,
        };
        let cache = DownloadCache::new(cache);
        Ok(Self {
            source,
            fetcher,
            cache,
            registry: Registry::default(),
            sink,
        })
    }

    /// Returns the checksum that the source gives `download`.
    pub(crate) async fn checksum(&self, download: &Download) -> Result<Sha256Digest, BundleError> {
        let place = self.source.place_of(&download.checksum_url);
        let none = || BundleError::NoChecksum {
            checksum_url: place.shown(),
            file: download.file_name().to_owned(),
        };
        let bytes = match self.small(&place, MAX_CHECKSUM_FILE).await {
            Err(BundleError::Status { status, .. }) if status == 404 => return Err(none()),
            Err(BundleError::NotInDirectory { .. }) => return Err(none()),
            other => other?,
        };
        let text = String::from_utf8_lossy(&bytes);
        find_checksum(&text, download.file_name()).ok_or_else(none)
    }

    /// Returns the path and size of `download`, whose bytes have the digest `expected`.
    pub(crate) async fn download(
        &self,
        download: &Download,
        expected: Sha256Digest,
    ) -> Result<(PathBuf, u64), BundleError> {
        let place = self.source.place_of(&download.url);
        self.file(&place, &download.title(), (expected, None)).await
    }

    /// Returns the index or manifest to which the tag of `image` leads.
    pub(crate) async fn image_top(&self, image: &ImageReference) -> Result<Vec<u8>, BundleError> {
        let layout = match self.source.place_of_image(image) {
            ImagePlace::Layout(layout) => layout,
            ImagePlace::Registry => return self.top_in_registry(image).await,
        };
        let place = self.source.place_below(&format!("{layout}/index.json"));
        self.small(&place, MAX_IMAGE_DOCUMENT).await
    }

    /// Returns where the bytes of `blob` of `image` are, after fetching them if needed.
    pub(crate) async fn image_blob(
        &self,
        image: &ImageReference,
        blob: &Blob,
        kind: ImageBlobKind,
    ) -> Result<PathBuf, BundleError> {
        let title = format!("{image} {}", blob.sha256.short());
        let expected = (blob.sha256, Some(blob.size));
        let path = match self.source.place_of_image(image) {
            ImagePlace::Layout(layout) => {
                let below = format!("{layout}/blobs/sha256/{}", blob.sha256);
                self.file(&self.source.place_below(&below), &title, expected)
                    .await?
                    .0
            }
            ImagePlace::Registry => self.blob_in_registry(image, kind, &title, expected).await?,
        };
        Ok(path)
    }

    async fn small(&self, place: &Place, limit: u64) -> Result<Vec<u8>, BundleError> {
        let path = match place {
            Place::File(path) => path,
            Place::Url(url) => {
                return Ok(self.fetcher().document(&Request::plain(url), limit).await?);
            }
        };
        let size = tokio::fs::metadata(path)
            .await
            .map_err(|error| not_there(path, error))?
            .len();
        if size > limit {
            return Err(BundleError::TooLarge {
                url: place.shown(),
                limit,
            });
        }
        tokio::fs::read(path)
            .await
            .map_err(|error| not_there(path, error))
    }

    async fn file(
        &self,
        place: &Place,
        title: &str,
        expected: (Sha256Digest, Option<u64>),
    ) -> Result<(PathBuf, u64), BundleError> {
        let path = match place {
            Place::File(path) => path,
            Place::Url(url) => {
                return Ok(self.cached(&Request::plain(url), title, expected).await?);
            }
        };
        tokio::fs::metadata(path)
            .await
            .map_err(|error| not_there(path, error))?;
        let (actual, size) = hash_file(path).await?;
        if actual != expected.0 {
            let (url, expected) = (place.shown(), expected.0);
            return Err(BundleError::WrongChecksum {
                url,
                expected,
                actual,
            });
        }
        self.report(title, size, Some(size));
        Ok((path.clone(), size))
    }

    async fn cached(
        &self,
        request: &Request,
        title: &str,
        expected: (Sha256Digest, Option<u64>),
    ) -> Result<(PathBuf, u64), Failure> {
        let path = self.cache.path_of(&expected.0);
        if let Some(size) = self.cache.find(&expected.0).await? {
            self.report(title, size, Some(size));
            return Ok((path, size));
        }
        let mut part = self.cache.part(&expected.0).await?;
        // Another process may have finished it while this one waited for the lock.
        if let Some(size) = self.cache.find(&expected.0).await? {
            part.discard().await?;
            self.report(title, size, Some(size));
            return Ok((path, size));
        }
        let report = |done, total| self.report(title, done, total);
        match self
            .fetcher()
            .download(request, &mut part, expected, &report)
            .await
        {
            Ok(()) => {
                let size = part.length();
                part.finish(&path).await?;
                self.report(title, size, Some(size));
                Ok((path, size))
            }
            Err(failure) => {
                if matches!(failure.error, BundleError::WrongChecksum { .. }) || part.length() == 0
                {
                    part.discard().await?;
                }
                Err(failure)
            }
        }
    }

    async fn top_in_registry(&self, image: &ImageReference) -> Result<Vec<u8>, BundleError> {
        let request = self.registry.request(image, RegistryObject::Tag).await;
        Ok(
            match self.fetcher().document(&request, MAX_IMAGE_DOCUMENT).await {
                Err(Failure {
                    challenge: Some(challenge),
                    ..
                }) => {
                    self.registry
                        .authorise(self.fetcher(), image, &challenge)
                        .await?;
                    let request = self.registry.request(image, RegistryObject::Tag).await;
                    self.fetcher()
                        .document(&request, MAX_IMAGE_DOCUMENT)
                        .await?
                }
                other => other?,
            },
        )
    }

    async fn blob_in_registry(
        &self,
        image: &ImageReference,
        kind: ImageBlobKind,
        title: &str,
        expected: (Sha256Digest, Option<u64>),
    ) -> Result<PathBuf, BundleError> {
        let object = match kind {
            ImageBlobKind::Manifest => RegistryObject::Manifest(expected.0),
            ImageBlobKind::Content => RegistryObject::Blob(expected.0),
        };
        let request = self.registry.request(image, object).await;
        let (path, _) = match self.cached(&request, title, expected).await {
            // None yet, or the token has expired during a long download.
            Err(Failure {
                challenge: Some(challenge),
                ..
            }) => {
                self.registry
                    .authorise(self.fetcher(), image, &challenge)
                    .await?;
                let request = self.registry.request(image, object).await;
                self.cached(&request, title, expected).await?
            }
            other => other?,
        };
        Ok(path)
    }

    fn fetcher(&self) -> &Fetcher {
        self.fetcher
            .as_ref()
            .expect("only directories have no client, and they have no URLs")
    }

    fn report(&self, title: &str, done: u64, total: Option<u64>) {
        (self.sink)(Transfer {
            name: title.to_owned(),
            done,
            total,
        });
    }
}

fn not_there(path: &Path, error: std::io::Error) -> BundleError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return BundleError::NotInDirectory {
            path: path.to_owned(),
        };
    }
    BundleError::file("read", path)(error)
}
