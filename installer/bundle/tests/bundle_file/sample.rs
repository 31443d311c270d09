//! Bundles to damage, and the tools for it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use slipway_api::{Architecture, KubernetesVersion, Sha256Digest};
use slipway_bundle::{
    Bundle, BundleError, FetchOptions, Source, SourceRequest, TransferSink, create,
};

use crate::mirror::write_mirror;

pub const BLOCK: usize = 512;

/// An entry of a tar file: name, header, content, padding included.
pub type Entry = (String, Vec<u8>);

pub fn sink() -> TransferSink {
    Arc::new(|_| {})
}

pub fn request(root: &Path, versions: &[(u64, u64)]) -> SourceRequest {
    SourceRequest {
        versions: versions
            .iter()
            .map(|(minor, patch)| KubernetesVersion::new(*minor, *patch))
            .collect(),
        architectures: vec![Architecture::Amd64],
        source: Source::Directory(root.join("mirror")),
        images: Vec::new(),
        standard_images: true,
        slipway: BTreeMap::new(),
        cache: root.join("cache"),
        fetch: FetchOptions::default(),
    }
}

/// Returns the bytes of a bundle of `versions`.
pub fn bundle_bytes(versions: &[(u64, u64)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<KubernetesVersion> = versions
        .iter()
        .map(|(minor, patch)| KubernetesVersion::new(*minor, *patch))
        .collect();
    write_mirror(&folder.path().join("mirror"), &all);
    let out = folder.path().join("out.bundle");
    block_on(create(request(folder.path(), versions), &out, sink())).unwrap();
    std::fs::read(out).unwrap()
}

/// Returns the bytes of the one bundle that most tests damage.
pub fn sample() -> &'static [u8] {
    static SAMPLE: OnceLock<Vec<u8>> = OnceLock::new();
    SAMPLE.get_or_init(|| bundle_bytes(&[(36, 3)]))
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

pub fn write_file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bundle");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

pub fn open_error(bytes: &[u8]) -> BundleError {
    let (_folder, path) = write_file(bytes);
    match Bundle::open(&path) {
        Ok(_) => panic!("it should have been refused"),
        Err(error) => error,
    }
}

/// Takes a bundle apart; the end mark is left out.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut position = 0;
    while bytes[position] != 0 {
        let header = tar::Header::from_byte_slice(&bytes[position..position + BLOCK]);
        let size = header.size().unwrap() as usize;
        let end = position + BLOCK + size.div_ceil(BLOCK) * BLOCK;
        let name = String::from_utf8(header.path_bytes().into_owned()).unwrap();
        entries.push((name, bytes[position..end].to_vec()));
        position = end;
    }
    entries
}

pub fn join(entries: &[Entry]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries
        .iter()
        .flat_map(|(_, bytes)| bytes.clone())
        .collect();
    bytes.extend([0; 2 * BLOCK]);
    bytes
}

pub fn entry(name: &str, content: &[u8], claimed_size: u64, kind: tar::EntryType) -> Entry {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(claimed_size);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
    (name.to_owned(), bytes)
}

pub fn file(name: &str, content: &[u8]) -> Entry {
    entry(name, content, content.len() as u64, tar::EntryType::Regular)
}

/// Returns the sample with another manifest, whose checksum is right.
pub fn with_manifest(edit: impl Fn(String) -> String) -> Vec<u8> {
    let mut all = entries(sample());
    let header = tar::Header::from_byte_slice(&all[0].1[..BLOCK]);
    let size = header.size().unwrap() as usize;
    let text = edit(String::from_utf8(all[0].1[BLOCK..BLOCK + size].to_vec()).unwrap());
    let checksum = format!("{}  manifest.json\n", Sha256Digest::of(&text));
    all[0] = file("manifest.json", text.as_bytes());
    all[1] = file("manifest.json.sha256", checksum.as_bytes());
    join(&all)
}

pub fn read_error(error: io::Error) -> BundleError {
    error.downcast().expect("readers wrap bundle errors")
}
