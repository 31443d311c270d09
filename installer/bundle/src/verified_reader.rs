//! Readers that know what their bytes must be, and fail at the end when they are not.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use slipway_api::{Blob, Sha256Digest};
use tokio_util::io::StreamReader;

use crate::{BlobReader, BundleError};

/// How many bytes are read and hashed in one go, off the async threads.
const CHUNK: usize = 1 << 20;

/// A range of a file that should hold a blob.
#[derive(Clone)]
pub(crate) struct BlobRange {
    /// The open file; a bundle that is replaced while being read stays readable through it.
    pub file: Arc<File>,
    /// The file's name, for errors.
    pub path: PathBuf,
    /// Where the blob starts.
    pub offset: u64,
    /// The blob.
    pub blob: Blob,
    /// What the blob belongs to, for errors.
    pub owner: String,
}

struct Progress {
    range: BlobRange,
    hasher: Sha256,
    done: u64,
    is_checked: bool,
}

impl BlobRange {
    /// Returns a reader of the blob whose last read fails unless size and digest are right.
    pub(crate) fn reader(self) -> BlobReader {
        let start = Progress {
            range: self,
            hasher: Sha256::new(),
            done: 0,
            is_checked: false,
        };
        let stream = futures::stream::try_unfold(start, |progress| async move {
            if progress.is_checked {
                return Ok(None);
            }
            tokio::task::spawn_blocking(move || progress.advance())
                .await
                .map_err(io::Error::other)?
        });
        Box::new(StreamReader::new(Box::pin(stream)))
    }
}

impl Progress {
    /// Reads and hashes the next bytes; the last ones are handed out only if all were right.
    fn advance(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let left = self.range.blob.size - self.done;
        let mut buffer = vec![0; left.min(CHUNK as u64) as usize];
        self.range
            .file
            .read_exact_at(&mut buffer, self.range.offset + self.done)
            .map_err(|error| self.short(error))?;
        self.hasher.update(&buffer);
        self.done += buffer.len() as u64;
        if self.done == self.range.blob.size {
            self.check()?;
            self.is_checked = true;
        }
        Ok(Some((buffer.into(), self)))
    }

    fn check(&self) -> io::Result<()> {
        let actual = Sha256Digest::from_bytes(self.hasher.clone().finalize().into());
        if actual == self.range.blob.sha256 {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            BundleError::DamagedBlob {
                path: self.range.path.clone(),
                blob: self.range.blob,
                owner: self.range.owner.clone(),
                actual,
            },
        ))
    }

    fn short(&self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return error;
        }
        let length = self
            .range
            .file
            .metadata()
            .map_or(0, |metadata| metadata.len());
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            BundleError::Truncated {
                path: self.range.path.clone(),
                actual: length,
                what: format!(
                    "blob sha256:{} of {}",
                    self.range.blob.sha256, self.range.owner
                ),
            },
        )
    }
}

/// Returns digest and size of the file at `path`.
pub(crate) async fn hash_file(path: &Path) -> Result<(Sha256Digest, u64), BundleError> {
    let owned = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut file = File::open(&owned)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut size = 0;
        loop {
            let read = io::Read::read(&mut file, &mut buffer)?;
            if read == 0 {
                return Ok((Sha256Digest::from_bytes(hasher.finalize().into()), size));
            }
            hasher.update(&buffer[..read]);
            size += read as u64;
        }
    })
    .await
    .expect("hashing does not panic")
    .map_err(BundleError::file("read", path))
}
