//! How a bundle lies in its tar file, byte for byte.
//!
//! `manifest.json`, `manifest.json.sha256` (as `sha256sum` writes it), then
//! `blobs/sha256/<digest>` for each blob, once, in the order in which the manifest names them
//! first; plain ustar headers with everything that varies set to zero. Readers accept nothing
//! else, so each byte of the file has one right value.

use slipway_api::Sha256Digest;

/// The name of the first entry.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The name of the second entry, the manifest's checksum.
pub(crate) const MANIFEST_CHECKSUM: &str = "manifest.json.sha256";
/// The folder of the blobs.
pub(crate) const BLOBS: &str = "blobs/sha256/";
/// The size of a tar block, in bytes.
pub(crate) const BLOCK: u64 = 512;
/// The size of the two zero blocks at the end, in bytes.
pub(crate) const TRAILER: u64 = 2 * BLOCK;
/// The longest manifest, in bytes.
pub(crate) const MAX_MANIFEST: u64 = 16 << 20;

/// Returns the header block of the entry `path`, one of the names above.
pub(crate) fn header(path: &str, size: u64) -> [u8; BLOCK as usize] {
    let mut header = tar::Header::new_ustar();
    header
        .set_path(path)
        .expect("all names in a bundle are short and relative");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// Returns the number of zero bytes after an entry of `size` bytes.
pub(crate) fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

/// Returns the name of a blob's entry.
pub(crate) fn blob_path(digest: &Sha256Digest) -> String {
    format!("{BLOBS}{digest}")
}

/// Returns the bytes of the manifest's checksum entry.
pub(crate) fn manifest_checksum(manifest: &[u8]) -> String {
    format!("{}  {MANIFEST}\n", Sha256Digest::of(manifest))
}
