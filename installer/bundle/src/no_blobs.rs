//! The blobs of a plan that needs none.

use async_trait::async_trait;
use slipway_api::{Blob, BundleManifest};

use crate::{BlobReader, BlobStore, BundleError};

/// An empty set of blobs, for `reset` and `preflight --fix`.
pub struct NoBlobs(BundleManifest);

impl Default for NoBlobs {
    fn default() -> Self {
        Self(BundleManifest {
            format: BundleManifest::FORMAT,
            created_by: String::new(),
            kubernetes_versions: Vec::new(),
            artifacts: Vec::new(),
            images: Vec::new(),
        })
    }
}

#[async_trait]
impl BlobStore for NoBlobs {
    fn manifest(&self) -> &BundleManifest {
        &self.0
    }

    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        Err(BundleError::UnknownBlob {
            store: "nothing".to_owned(),
            blob: *blob,
        })
    }
}
