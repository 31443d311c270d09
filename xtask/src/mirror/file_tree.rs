//! A set of files that is packed, always in the same way, into a gzip-compressed tar.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use slipway_api::Sha256Digest;

use crate::error::Error;

/// The operating system's number in a gzip header that means "unknown".
const GZIP_OS_UNKNOWN: u8 = 255;

/// Files, directories and symbolic links by their path in the archive.
///
/// Everything belongs to root, nothing has a time, and the order is that of the
/// paths: equal contents give equal bytes.
#[derive(Default)]
pub struct FileTree(BTreeMap<String, Entry>);

enum Entry {
    Directory { mode: u32 },
    Copy { source: PathBuf, mode: u32 },
    Text { content: Vec<u8>, mode: u32 },
    Link { target: String },
}

/// What a packed tree is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The digest of the compressed file.
    pub digest: Sha256Digest,
    /// The digest of the tar inside, which image configurations call diff ID.
    pub diff_id: Sha256Digest,
    /// The size of the compressed file in bytes.
    pub size: u64,
}

impl FileTree {
    /// Adds an empty directory.
    pub fn directory(&mut self, path: &str, mode: u32) -> &mut Self {
        self.insert(path, Entry::Directory { mode })
    }

    /// Adds a file from disk as an executable.
    pub fn program(&mut self, path: &str, source: &Path) -> &mut Self {
        let source = source.to_path_buf();
        self.insert(
            path,
            Entry::Copy {
                source,
                mode: 0o755,
            },
        )
    }

    /// Adds a file with the given content.
    pub fn text(&mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> &mut Self {
        let content = content.into();
        self.insert(path, Entry::Text { content, mode })
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> &mut Self {
        let target = target.to_owned();
        self.insert(path, Entry::Link { target })
    }

    /// Adds everything below `root`, with its permissions.
    ///
    /// # Errors
    /// Something below `root` cannot be read.
    pub fn everything_below(&mut self, root: &Path) -> Result<&mut Self, Error> {
        self.add_folder(root, "")?;
        Ok(self)
    }

    /// Writes the tree to `to` and returns its digests.
    ///
    /// # Errors
    /// A source cannot be read or `to` cannot be written.
    pub fn pack(&self, to: &Path) -> Result<Packed, Error> {
        let file = File::create(to).map_err(Error::file("write", to))?;
        self.pack_into(Hashing::new(io::BufWriter::new(file)))
            .map_err(Error::file("pack", to))
    }

    fn pack_into<W: Write>(&self, file: Hashing<W>) -> io::Result<Packed> {
        // The default operating system number of the encoder differs by platform.
        let gzip = GzBuilder::new()
            .operating_system(GZIP_OS_UNKNOWN)
            .write(file, Compression::default());
        let mut tar = tar::Builder::new(Hashing::new(gzip));
        for (path, entry) in &self.0 {
            append(&mut tar, path, entry)?;
        }
        let (gzip, diff_id, _) = tar.into_inner()?.finish();
        let (mut file, digest, size) = gzip.finish()?.finish();
        file.flush()?;
        Ok(Packed {
            digest,
            diff_id,
            size,
        })
    }

    fn insert(&mut self, path: &str, entry: Entry) -> &mut Self {
        for (at, _) in path.match_indices('/') {
            self.0
                .entry(path[..at].to_owned())
                .or_insert(Entry::Directory { mode: 0o755 });
        }
        self.0.insert(path.to_owned(), entry);
        self
    }

    fn add_folder(&mut self, folder: &Path, inside: &str) -> Result<(), Error> {
        let entries = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
        for entry in entries {
            let entry = entry.map_err(Error::file("read", folder))?;
            let source = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if inside.is_empty() {
                name
            } else {
                format!("{inside}/{name}")
            };
            let metadata = entry.metadata().map_err(Error::file("read", &source))?;
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_symlink() {
                let target = std::fs::read_link(&source).map_err(Error::file("read", &source))?;
                self.link(&path, &target.to_string_lossy());
            } else if metadata.is_dir() {
                self.directory(&path, mode);
                self.add_folder(&source, &path)?;
            } else {
                self.insert(&path, Entry::Copy { source, mode });
            }
        }
        Ok(())
    }
}

fn append<W: Write>(tar: &mut tar::Builder<W>, path: &str, entry: &Entry) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    match entry {
        Entry::Directory { mode } => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(*mode);
            tar.append_data(&mut header, format!("{path}/"), io::empty())
        }
        Entry::Link { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, target)
        }
        Entry::Text { content, mode } => {
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_slice())
        }
        Entry::Copy { source, mode } => {
            let name = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", source.display()))
            };
            let file = File::open(source).map_err(name)?;
            header.set_mode(*mode);
            header.set_size(file.metadata().map_err(name)?.len());
            tar.append_data(&mut header, path, file).map_err(name)
        }
    }
}

/// A writer that knows the digest and the length of what went through it.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    length: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            length: 0,
        }
    }

    fn finish(self) -> (W, Sha256Digest, u64) {
        let digest = Sha256Digest::from_bytes(self.hasher.finalize().into());
        (self.inner, digest, self.length)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the digest of a file.
///
/// # Errors
/// The file cannot be read.
pub fn digest_of(path: &Path) -> Result<Sha256Digest, Error> {
    let mut file = File::open(path).map_err(Error::file("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Error::file("read", path))? {
            0 => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_trees_give_equal_bytes_whatever_the_order_of_adding() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = FileTree::default();
        one.text("usr/bin/a", "a", 0o755).link("bin", "usr/bin");
        let mut two = FileTree::default();
        two.link("bin", "usr/bin").text("usr/bin/a", "a", 0o755);
        let first = one.pack(&folder.path().join("1")).unwrap();
        let second = two.pack(&folder.path().join("2")).unwrap();
        assert_eq!(first, second);
        assert_eq!(digest_of(&folder.path().join("1")).unwrap(), first.digest);
    }

    #[test]
    fn parents_come_before_their_children_and_belong_to_root() {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = FileTree::default();
        tree.text("etc/ssl/certs/ca.crt", "x", 0o644)
            .directory("tmp", 0o1777);
        let path = folder.path().join("layer");
        tree.pack(&path).unwrap();
        let gzip = flate2::read::GzDecoder::new(File::open(path).unwrap());
        let mut archive = tar::Archive::new(gzip);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 0));
                let path = entry.path().unwrap().display().to_string();
                format!("{path} {:o}", header.mode().unwrap())
            })
            .collect();
        assert_eq!(
            seen,
            [
                "etc/ 755",
                "etc/ssl/ 755",
                "etc/ssl/certs/ 755",
                "etc/ssl/certs/ca.crt 644",
                "tmp/ 1777"
            ]
        );
    }
}
