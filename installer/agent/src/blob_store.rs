//! The host's blobs: files named by the digest of their bytes.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use slipway_api::{Blob, Sha256Digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{AgentError, files};

/// Bytes read and hashed at a time.
const CHUNK: usize = 1 << 20;

/// A folder of blobs. A file under its final name is whole: it was hashed and
/// synced under another name first.
pub(crate) struct BlobStore {
    folder: PathBuf,
}

impl BlobStore {
    /// Returns the store in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Returns where the blob is, or would be.
    pub fn path(&self, blob: &Blob) -> PathBuf {
        self.folder.join(blob.sha256.to_string())
    }

    /// Returns whether the blob is here.
    pub fn has(&self, blob: &Blob) -> bool {
        std::fs::metadata(self.path(blob)).is_ok_and(|found| found.len() == blob.size)
    }

    /// Takes a blob's bytes from `reader`, which may hold more behind them.
    ///
    /// # Errors
    /// The bytes end early, are not the blob's, or cannot be written; nothing is kept then.
    pub async fn receive(
        &self,
        blob: &Blob,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), AgentError> {
        files::make_private_dir(&self.folder)?;
        let unique = format!(".{}.{}", blob.sha256.short(), files::nonce());
        let temporary = self.folder.join(unique);
        let result = self.receive_into(&temporary, blob, reader).await;
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        result
    }

    async fn receive_into(
        &self,
        temporary: &Path,
        blob: &Blob,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), AgentError> {
        let cannot_write = |source| AgentError::File {
            doing: "write",
            path: temporary.to_owned(),
            source,
        };
        let mut file = tokio::fs::File::create(temporary)
            .await
            .map_err(cannot_write)?;
        let mut hash = Sha256::new();
        let mut left = blob.size;
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(CHUNK));
            let got = reader
                .read(&mut buffer[..want])
                .await
                .map_err(cannot_write)?;
            if got == 0 {
                let early = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(cannot_write(early));
            }
            hash.update(&buffer[..got]);
            file.write_all(&buffer[..got]).await.map_err(cannot_write)?;
            left -= got as u64;
        }
        let found = Sha256Digest::from_bytes(hash.finalize().into());
        if found != blob.sha256 {
            return Err(AgentError::WrongBlob {
                expected: blob.sha256,
                found,
            });
        }
        file.sync_all().await.map_err(cannot_write)?;
        std::fs::rename(temporary, self.path(blob)).map_err(cannot_write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob_of(bytes: &[u8]) -> Blob {
        Blob {
            sha256: Sha256Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    #[tokio::test]
    async fn a_blob_is_kept_only_if_its_bytes_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::new(folder.path());
        let good = blob_of(b"hello");
        store
            .receive(&good, &mut &b"hello and more"[..])
            .await
            .unwrap();
        assert!(store.has(&good));

        let bad = blob_of(b"world");
        let error = store.receive(&bad, &mut &b"w0rld"[..]).await.unwrap_err();
        assert!(matches!(error, AgentError::WrongBlob { .. }), "{error}");
        let error = store.receive(&bad, &mut &b"wor"[..]).await.unwrap_err();
        assert!(matches!(error, AgentError::File { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
