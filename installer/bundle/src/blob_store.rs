//! What an installation takes its blobs from.

use async_trait::async_trait;
use slipway_api::{Blob, BundleManifest};
use tokio::io::AsyncRead;

use crate::BundleError;

/// Reads one blob; the read at its end fails with a [`BundleError`] inside the `io::Error`
/// unless size and digest were right, so whoever reads to the end has read the right bytes.
pub type BlobReader = Box<dyn AsyncRead + Send + Unpin>;

/// A set of blobs and the manifest that says what they are.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Returns what there is.
    fn manifest(&self) -> &BundleManifest;

    /// Opens a blob that the manifest names; several may be open at once.
    ///
    /// # Errors
    /// The store has no such blob, or it cannot be read or fetched.
    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError>;
}
