//! A download in the making: kept across runs, locked against other processes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use slipway_api::Sha256Digest;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::BundleError;

/// How many bytes are read at once when an earlier part is hashed again.
const CHUNK: usize = 1 << 20;

/// A partly downloaded file and the digest of what is there.
pub(crate) struct PartFile {
    path: PathBuf,
    file: tokio::fs::File,
    hasher: Sha256,
    length: u64,
    validator: Option<String>,
}

impl PartFile {
    /// Opens or creates the part at `path`, waits while another process holds it, and
    /// hashes what an earlier run left.
    pub(crate) async fn open(path: &Path) -> Result<Self, BundleError> {
        let locked = path.to_owned();
        let file = tokio::task::spawn_blocking(move || lock(&locked))
            .await
            .expect("locking a file does not panic")?;
        let validator = tokio::fs::read_to_string(validator_path(path)).await.ok();
        let mut part = Self {
            path: path.to_owned(),
            file: tokio::fs::File::from_std(file),
            hasher: Sha256::new(),
            length: 0,
            validator,
        };
        part.hash_existing().await?;
        Ok(part)
    }

    /// Returns the number of bytes there are.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the entity tag or date under which the server sent these bytes.
    pub(crate) fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// Throws the bytes away and starts from the beginning.
    pub(crate) async fn restart(&mut self) -> Result<(), BundleError> {
        let failed = |source| BundleError::file("write", &self.path)(source);
        self.file.set_len(0).await.map_err(failed)?;
        self.file.rewind().await.map_err(failed)?;
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }

    /// Notes under which entity tag or date the bytes come.
    pub(crate) async fn set_validator(&mut self, value: Option<&str>) -> Result<(), BundleError> {
        if self.validator.as_deref() == value {
            return Ok(());
        }
        let path = validator_path(&self.path);
        match value {
            Some(value) => tokio::fs::write(&path, value).await,
            None => tokio::fs::remove_file(&path).await,
        }
        .map_err(BundleError::file("write", path))?;
        self.validator = value.map(str::to_owned);
        Ok(())
    }

    /// Adds `bytes` at the end.
    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.file
            .write_all(bytes)
            .await
            .map_err(BundleError::file("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Brings everything appended so far to the file.
    pub(crate) async fn flush(&mut self) -> Result<(), BundleError> {
        self.file
            .flush()
            .await
            .map_err(BundleError::file("write", &self.path))
    }

    /// Returns the digest of the bytes so far.
    pub(crate) fn digest(&self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.hasher.clone().finalize().into())
    }

    /// Makes the part the finished file `destination`.
    pub(crate) async fn finish(self, destination: &Path) -> Result<(), BundleError> {
        self.file
            .sync_all()
            .await
            .map_err(BundleError::file("write", &self.path))?;
        tokio::fs::rename(&self.path, destination)
            .await
            .map_err(BundleError::file("write", destination))?;
        remove_if_there(&validator_path(&self.path)).await
    }

    /// Deletes the part.
    pub(crate) async fn discard(self) -> Result<(), BundleError> {
        remove_if_there(&self.path).await?;
        remove_if_there(&validator_path(&self.path)).await
    }

    async fn hash_existing(&mut self) -> Result<(), BundleError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = self
                .file
                .read(&mut buffer)
                .await
                .map_err(BundleError::file("read", &self.path))?;
            if read == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..read]);
            self.length += read as u64;
        }
    }
}

/// Opens and locks the file that has the name `path` once the lock is held: whoever held it
/// before may have finished or discarded it meanwhile.
fn lock(path: &Path) -> Result<std::fs::File, BundleError> {
    loop {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(BundleError::file("create", path))?;
        file.lock().map_err(BundleError::file("lock", path))?;
        let ours = file.metadata().map_err(BundleError::file("read", path))?;
        match std::fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => return Ok(file),
            _ => {}
        }
    }
}

fn validator_path(part: &Path) -> PathBuf {
    part.with_extension("etag")
}

async fn remove_if_there(path: &Path) -> Result<(), BundleError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BundleError::file("delete", path)(error))
        }
        _ => Ok(()),
    }
}
