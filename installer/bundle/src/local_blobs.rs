//! Files of this machine as blobs, beside those of another store.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use slipway_api::{Blob, BundleManifest, Sha256Digest};

use crate::verified_reader::BlobRange;
use crate::{BlobReader, BlobStore, BundleError};

/// A store with files of this machine, read where they lie when they are needed.
pub struct LocalBlobs {
    others: Arc<dyn BlobStore>,
    files: BTreeMap<Sha256Digest, PathBuf>,
}

impl LocalBlobs {
    /// Returns `others` with these files, by the digests that they must have.
    pub fn beside(
        others: Arc<dyn BlobStore>,
        files: impl IntoIterator<Item = (Sha256Digest, PathBuf)>,
    ) -> Self {
        Self {
            others,
            files: files.into_iter().collect(),
        }
    }
}

#[async_trait]
impl BlobStore for LocalBlobs {
    fn manifest(&self) -> &BundleManifest {
        self.others.manifest()
    }

    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        let Some(path) = self.files.get(&blob.sha256) else {
            return self.others.open(blob).await;
        };
        let file = File::open(path).map_err(BundleError::file("read", path))?;
        let range = BlobRange {
            file: Arc::new(file),
            path: path.clone(),
            offset: 0,
            blob: *blob,
            owner: "the cluster file".to_owned(),
        };
        Ok(range.reader())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoBlobs;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_file_that_changed_since_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, "rules: []").expect("it is written");
        let blob = Blob {
            sha256: Sha256Digest::of("rules: []"),
            size: 9,
        };
        let store = LocalBlobs::beside(Arc::new(NoBlobs::default()), [(blob.sha256, path.clone())]);
        let read = || async {
            let mut bytes = Vec::new();
            let mut reader = store.open(&blob).await.expect("it opens");
            reader.read_to_end(&mut bytes).await.map(|_| bytes)
        };
        assert_eq!(read().await.expect("it is whole"), b"rules: []");
        std::fs::write(&path, "rules: {}").expect("it is written");
        assert!(read().await.is_err());
        let other = Blob {
            sha256: Sha256Digest::of("other"),
            size: 5,
        };
        assert!(store.open(&other).await.is_err());
    }
}
