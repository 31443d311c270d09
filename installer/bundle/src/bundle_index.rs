//! Finds everything in a bundle file, and refuses what no bundle has.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;
use slipway_api::{Blob, BundleManifest, Sha256Digest};

use crate::tar_layout::{
    BLOBS, BLOCK, MANIFEST, MANIFEST_CHECKSUM, MAX_MANIFEST, TRAILER, blob_path, header,
    manifest_checksum, padding,
};
use crate::{BundleError, owner_of};

/// A bundle's manifest and where its blobs lie.
pub(crate) struct BundleIndex {
    /// The manifest.
    pub manifest: BundleManifest,
    /// The offset of each blob in the file.
    pub offsets: HashMap<Sha256Digest, u64>,
}

/// The part of the manifest that every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

struct Entry {
    path: String,
    offset: u64,
    size: u64,
}

struct Scanner<'a> {
    file: &'a File,
    path: &'a Path,
    length: u64,
    position: u64,
}

/// Reads the manifest and every header of the bundle `file`, but no blob.
///
/// # Errors
/// It is no bundle, of another format, cut, or its entries are not exactly those of its
/// manifest.
pub(crate) fn index_bundle(file: &File, path: &Path) -> Result<BundleIndex, BundleError> {
    let metadata = file.metadata().map_err(BundleError::file("read", path))?;
    let not_a_bundle = |reason: &str| BundleError::NotABundle {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if !metadata.is_file() {
        return Err(not_a_bundle("it is no regular file"));
    }
    let mut scanner = Scanner {
        file,
        path,
        length: metadata.len(),
        position: 0,
    };
    match scanner.length {
        0 => return Err(not_a_bundle("it is empty")),
        1..BLOCK => return Err(not_a_bundle("it is too short")),
        _ => {}
    }
    let start = scanner.read(0, BLOCK)?;
    if !start.starts_with(b"manifest.json\0") {
        return Err(not_a_bundle("it does not begin with a manifest"));
    }
    let manifest = scanner.read_manifest()?;
    let offsets = scanner.read_blobs(&manifest)?;
    Ok(BundleIndex { manifest, offsets })
}

impl Scanner<'_> {
    fn read_manifest(&mut self) -> Result<BundleManifest, BundleError> {
        let damaged = |reason: String| BundleError::DamagedManifest {
            path: self.path.to_owned(),
            reason,
        };
        let bytes = self.read_small(MANIFEST)?;
        let AnyFormat { format } =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if format != u64::from(BundleManifest::FORMAT) {
            return Err(BundleError::UnknownFormat {
                path: self.path.to_owned(),
                format,
                supported: BundleManifest::FORMAT,
            });
        }
        let damaged = |reason: String| BundleError::DamagedManifest {
            path: self.path.to_owned(),
            reason,
        };
        if self.read_small(MANIFEST_CHECKSUM)? != manifest_checksum(&bytes).as_bytes() {
            return Err(damaged(format!(
                "its checksum is not the one in {MANIFEST_CHECKSUM}"
            )));
        }
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
    }

    fn read_small(&mut self, name: &str) -> Result<Vec<u8>, BundleError> {
        let entry = self.next_entry(name)?;
        if entry.path != name {
            return Err(self.odd(format!("`{}` stands where {name} belongs", entry.path)));
        }
        if entry.size > MAX_MANIFEST {
            return Err(BundleError::ManifestTooLong {
                path: self.path.to_owned(),
                size: entry.size,
                limit: MAX_MANIFEST,
            });
        }
        self.finish_entry(&entry, name)?;
        self.read(entry.offset, entry.size)
    }

    fn read_blobs(
        &mut self,
        manifest: &BundleManifest,
    ) -> Result<HashMap<Sha256Digest, u64>, BundleError> {
        let wanted = self.wanted(manifest)?;
        let mut offsets = HashMap::new();
        while offsets.len() < wanted.len() {
            if self.is_at_trailer()? {
                break;
            }
            let entry = self.next_entry("an entry's header")?;
            let digest = digest_of(&entry.path);
            let blob = digest
                .and_then(|digest| wanted.get(&digest))
                .ok_or_else(|| {
                    self.odd(format!(
                        "`{}` is in it, which its manifest does not name",
                        entry.path
                    ))
                })?;
            let owner = || owner_of(manifest, &blob.sha256);
            if entry.size != blob.size {
                return Err(BundleError::WrongSize {
                    path: self.path.to_owned(),
                    blob: *blob,
                    owner: owner(),
                    actual: entry.size,
                });
            }
            self.finish_entry(
                &entry,
                &format!("blob sha256:{} of {}", blob.sha256, owner()),
            )?;
            if offsets.insert(blob.sha256, entry.offset).is_some() {
                let reason = format!("blob sha256:{} of {} is in it twice", blob.sha256, owner());
                return Err(self.odd(reason));
            }
        }
        if let Some(blob) = wanted
            .values()
            .find(|blob| !offsets.contains_key(&blob.sha256))
        {
            return Err(BundleError::MissingBlob {
                path: self.path.to_owned(),
                blob: *blob,
                owner: owner_of(manifest, &blob.sha256),
            });
        }
        self.finish_file(&wanted)?;
        Ok(offsets)
    }

    /// Returns the blobs that the manifest names.
    fn wanted(
        &self,
        manifest: &BundleManifest,
    ) -> Result<BTreeMap<Sha256Digest, Blob>, BundleError> {
        let mut wanted = BTreeMap::new();
        let artifacts = manifest.artifacts.iter().map(|artifact| artifact.blob);
        let images = manifest.images.iter().flat_map(|image| image.blobs());
        for blob in artifacts.chain(images) {
            let known = *wanted.entry(blob.sha256).or_insert(blob);
            if known != blob {
                return Err(BundleError::DamagedManifest {
                    path: self.path.to_owned(),
                    reason: format!("it gives blob sha256:{} two sizes", blob.sha256),
                });
            }
        }
        Ok(wanted)
    }

    /// Reads the header at the current position; `what` is expected there.
    fn next_entry(&mut self, what: &str) -> Result<Entry, BundleError> {
        if self.length - self.position < BLOCK {
            return Err(self.truncated(what));
        }
        let block = self.read(self.position, BLOCK)?;
        let raw = tar::Header::from_byte_slice(&block);
        let path = String::from_utf8_lossy(&raw.path_bytes()).into_owned();
        let shown: String = path
            .chars()
            .take(120)
            .flat_map(char::escape_default)
            .collect();
        let is_blob = digest_of(&path).is_some();
        if !is_blob && path != MANIFEST && path != MANIFEST_CHECKSUM {
            return Err(self.odd(format!("it has an entry `{shown}`, which no bundle has")));
        }
        let size = raw
            .size()
            .ok()
            .filter(|size| header(&path, *size)[..] == block[..]);
        let Some(size) = size else {
            return Err(self.odd(format!(
                "the header of `{shown}` is not as slipway writes it"
            )));
        };
        Ok(Entry {
            path,
            size,
            offset: self.position + BLOCK,
        })
    }

    /// Moves behind `entry`, after checking that all of it is there.
    fn finish_entry(&mut self, entry: &Entry, what: &str) -> Result<(), BundleError> {
        let end = entry.offset.checked_add(entry.size);
        let padded = end.and_then(|end| end.checked_add(padding(entry.size)));
        match (end, padded) {
            (Some(end), Some(padded)) if padded <= self.length => {
                if self.read(end, padded - end)?.iter().any(|byte| *byte != 0) {
                    return Err(self.odd(format!("bytes after `{}` are not zero", entry.path)));
                }
                self.position = padded;
                Ok(())
            }
            _ => Err(self.truncated(what)),
        }
    }

    fn is_at_trailer(&self) -> Result<bool, BundleError> {
        if self.length - self.position < BLOCK {
            return Ok(false);
        }
        Ok(self
            .read(self.position, BLOCK)?
            .iter()
            .all(|byte| *byte == 0))
    }

    /// Checks that two zero blocks and nothing else follow.
    fn finish_file(&mut self, wanted: &BTreeMap<Sha256Digest, Blob>) -> Result<(), BundleError> {
        let left = self.length - self.position;
        if left < TRAILER {
            return Err(self.truncated("the end mark"));
        }
        let trailer = self.read(self.position, TRAILER)?;
        if trailer.iter().all(|byte| *byte == 0) && left == TRAILER {
            return Ok(());
        }
        if trailer[..BLOCK as usize].iter().any(|byte| *byte != 0) {
            let entry = self.next_entry("an entry's header")?;
            let digest = digest_of(&entry.path);
            let is_known = digest.is_some_and(|digest| wanted.contains_key(&digest));
            let how = if is_known {
                "twice"
            } else {
                "though its manifest does not name it"
            };
            return Err(self.odd(format!("`{}` is in it {how}", entry.path)));
        }
        Err(self.odd("other bytes follow its end mark".to_owned()))
    }

    fn read(&self, offset: u64, size: u64) -> Result<Vec<u8>, BundleError> {
        let mut bytes = vec![0; size as usize];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(BundleError::file("read", self.path))?;
        Ok(bytes)
    }

    fn truncated(&self, what: &str) -> BundleError {
        BundleError::Truncated {
            path: self.path.to_owned(),
            actual: self.length,
            what: what.to_owned(),
        }
    }

    fn odd(&self, reason: String) -> BundleError {
        BundleError::OddEntry {
            path: self.path.to_owned(),
            reason,
        }
    }
}

/// Returns the digest of which `path` is the blob entry.
fn digest_of(path: &str) -> Option<Sha256Digest> {
    let digest = path.strip_prefix(BLOBS)?.parse().ok()?;
    // Digests have other spellings; entries have one.
    (blob_path(&digest) == path).then_some(digest)
}
