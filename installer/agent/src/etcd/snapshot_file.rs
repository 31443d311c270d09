//! A snapshot in a file: whether it is whole, and which revision it holds.
//!
//! The file is etcd's database, a bbolt file, followed by its SHA-256. Supported: reading the
//! newest key of the bucket `key`, which is the revision. Not supported: anything else.
//!
//! ```text
//! page     = id:u64 flags:u16 count:u16 overflow:u32 element*      (little endian)
//! meta     = magic:u32 version:u32 page-size:u32 flags:u32 root:u64 sequence:u64 …
//! branch   = position:u32 key-size:u32 page:u64
//! leaf     = flags:u32 position:u32 key-size:u32 value-size:u32
//! bucket   = root:u64 sequence:u64 [page]                          (a leaf's value)
//! revision = main:u64 '_' sub:u64 [mark]                           (big endian, a key)
//! ```
//! Sources: bbolt's `internal/common/{page,meta,bucket}.go`, etcd's `mvcc/revision.go`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use slipway_api::Sha256Digest;

use super::snapshot::{DIGEST_SIZE, SECTOR};

const PAGE_HEADER: u64 = 16;
const ELEMENT: u64 = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const MAGIC: u32 = 0xED0C_DAED;
const BUCKET_HEADER: u64 = 16;
/// No tree of pages is deeper.
const DEEPEST: usize = 32;

/// A snapshot in a file that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its size in bytes, etcd's digest at its end included.
    pub size: u64,
    /// The digest of the database, which is right.
    pub database_sha256: Sha256Digest,
    /// The digest of the whole file.
    pub sha256: Sha256Digest,
    /// The newest revision in it; 0 where nothing was ever written.
    pub revision: u64,
}

/// A file is no snapshot that etcd can be restored from.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no snapshot, or a damaged one.
    #[error("{path} is no whole snapshot of etcd: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl SnapshotFile {
    /// Reads all of a file, checks the digest at its end and finds the revision.
    ///
    /// # Errors
    /// The file cannot be read, or is no whole snapshot.
    pub fn read(path: &Path) -> Result<Self, SnapshotFileError> {
        let failed = |source| SnapshotFileError::Read {
            path: path.display().to_string(),
            source,
        };
        let damaged = |reason: &str| SnapshotFileError::Damaged {
            path: path.display().to_string(),
            reason: reason.to_owned(),
        };
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size % SECTOR != DIGEST_SIZE as u64 {
            return Err(damaged("it does not end with etcd's digest"));
        }
        let database_size = size - DIGEST_SIZE as u64;
        let (mut database, mut whole) = (Sha256::new(), Sha256::new());
        let mut left = database_size;
        let mut buffer = vec![0; 1 << 20];
        while left > 0 {
            let want = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            file.read_exact(&mut buffer[..want]).map_err(failed)?;
            database.update(&buffer[..want]);
            whole.update(&buffer[..want]);
            left -= want as u64;
        }
        let mut digest = [0; DIGEST_SIZE];
        file.read_exact(&mut digest).map_err(failed)?;
        whole.update(digest);
        let found: [u8; DIGEST_SIZE] = database.finalize().into();
        if found != digest {
            return Err(damaged("its content is not what etcd's digest says"));
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let pages =
            Pages::open(&file, database_size).ok_or_else(|| damaged("it is no bbolt database"))?;
        let revision = pages.newest_revision();
        Ok(Self {
            size,
            database_sha256: Sha256Digest::from_bytes(found),
            sha256: Sha256Digest::from_bytes(whole.finalize().into()),
            revision: revision.ok_or_else(|| damaged("it has no keys of etcd"))?,
        })
    }
}

/// The pages of a database.
struct Pages<'a> {
    file: &'a File,
    size: u64,
    page_size: u64,
    /// The root page of the bucket of buckets.
    root: u64,
}

/// Where a page, or a bucket inside a value, begins in the file.
type Offset = u64;

impl<'a> Pages<'a> {
    fn open(file: &'a File, size: u64) -> Option<Self> {
        let number = |offset| read::<4>(file, offset).map(u32::from_le_bytes);
        if number(PAGE_HEADER)? != MAGIC {
            return None;
        }
        let page_size = u64::from(number(PAGE_HEADER + 8)?);
        // Two metas take turns; the one with the higher transaction is newer.
        let newer = [0, page_size].into_iter().filter_map(|page| {
            let meta = page + PAGE_HEADER;
            let is_meta = number(meta)? == MAGIC;
            let transaction = u64::from_le_bytes(read(file, meta + 48)?);
            let root = u64::from_le_bytes(read(file, meta + 16)?);
            is_meta.then_some((transaction, root))
        });
        let (_, root) = newer.max()?;
        Some(Self {
            file,
            size,
            page_size,
            root,
        })
    }

    /// Returns the main revision of the newest key; none where there is no bucket of keys.
    fn newest_revision(&self) -> Option<u64> {
        let bucket = self.find(self.offset(self.root)?, b"key")?;
        let root = u64::from_le_bytes(read(self.file, bucket)?);
        // A small bucket lies in its value, right behind its header.
        let page = match root {
            0 => bucket + BUCKET_HEADER,
            page => self.offset(page)?,
        };
        self.last_revision(page)
    }

    /// Returns where the value of `key` lies, in the tree below a page.
    fn find(&self, mut page: Offset, key: &[u8]) -> Option<Offset> {
        for _ in 0..DEEPEST {
            let (flags, count) = self.header(page)?;
            let mut next = None;
            for index in 0..u64::from(count) {
                let element = page + PAGE_HEADER + index * ELEMENT;
                if flags & LEAF != 0 {
                    let (position, size) = (self.u32(element + 4)?, self.u32(element + 8)?);
                    let found = self.bytes(element + position, size)?;
                    if found == key {
                        return Some(element + position + size);
                    }
                } else if flags & BRANCH != 0 {
                    let (position, size) = (self.u32(element)?, self.u32(element + 4)?);
                    if index == 0 || self.bytes(element + position, size)?.as_slice() <= key {
                        next = Some(u64::from_le_bytes(read(self.file, element + 8)?));
                    }
                }
            }
            page = self.offset(next?)?;
        }
        None
    }

    /// Returns the revision of the last key in the tree below a page; 0 in an empty tree.
    fn last_revision(&self, mut page: Offset) -> Option<u64> {
        for _ in 0..DEEPEST {
            let (flags, count) = self.header(page)?;
            let Some(last) = u64::from(count).checked_sub(1) else {
                return Some(0);
            };
            let element = page + PAGE_HEADER + last * ELEMENT;
            if flags & LEAF != 0 {
                let position = self.u32(element + 4)?;
                return Some(u64::from_be_bytes(read(self.file, element + position)?));
            }
            let next = u64::from_le_bytes(read(self.file, element + 8)?);
            page = self.offset(next)?;
        }
        None
    }

    /// Returns where a page begins, if it is in the file.
    fn offset(&self, page: u64) -> Option<Offset> {
        let offset = page.checked_mul(self.page_size)?;
        (offset < self.size).then_some(offset)
    }

    fn header(&self, page: Offset) -> Option<(u16, u16)> {
        let flags = u16::from_le_bytes(read(self.file, page + 8)?);
        let count = u16::from_le_bytes(read(self.file, page + 10)?);
        (flags & (BRANCH | LEAF) != 0).then_some((flags, count))
    }

    fn u32(&self, offset: Offset) -> Option<u64> {
        read::<4>(self.file, offset).map(|bytes| u64::from(u32::from_le_bytes(bytes)))
    }

    fn bytes(&self, offset: Offset, size: u64) -> Option<Vec<u8>> {
        // Names of buckets are short; what is longer is none of them.
        let mut bytes = vec![0; usize::try_from(size.min(256)).ok()?];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }
}

fn read<const N: usize>(file: &File, offset: Offset) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn with_digest(database: &[u8]) -> Vec<u8> {
        let digest = Sha256::digest(database);
        [database, digest.as_slice()].concat()
    }

    fn refused(bytes: &[u8]) -> String {
        let file = file_of(bytes);
        let error = SnapshotFile::read(file.path()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_copied_data_file_is_no_snapshot() {
        assert!(refused(&[0; 4096]).ends_with("it does not end with etcd's digest"));
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let mut bytes = with_digest(&[7; 4096]);
        bytes[1000] ^= 1;
        assert!(refused(&bytes).ends_with("its content is not what etcd's digest says"));
    }

    #[test]
    fn what_is_no_database_is_refused_whatever_it_holds() {
        assert!(refused(&with_digest(&[0xff; 4096])).ends_with("it is no bbolt database"));
        let mut page = vec![0; 4096];
        page[16..20].copy_from_slice(&MAGIC.to_le_bytes());
        assert!(refused(&with_digest(&page)).ends_with("it has no keys of etcd"));
    }
}
