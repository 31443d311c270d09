//! What is in a tar.gz archive, and whether it may be unpacked.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use slipway_api::{ArchiveMember, Sha256Digest};

use crate::BundleError;

/// The most bytes that an archive may unpack to.
const MAX_UNPACKED: u64 = 4 << 30;
/// The most members.
const MAX_MEMBERS: usize = 10_000;

/// Returns the regular files in the archive at `path`, in its order.
///
/// # Errors
/// It is no tar.gz archive, or it holds anything that could land outside the folder it is
/// unpacked in: absolute paths, `..`, links that lead out, devices, two members of one name.
pub(crate) async fn archive_members(
    path: &Path,
    name: &str,
) -> Result<Vec<ArchiveMember>, BundleError> {
    let path = path.to_owned();
    let name = name.to_owned();
    tokio::task::spawn_blocking(move || {
        let file = File::open(&path).map_err(BundleError::file("read", &path))?;
        read_members(BufReader::new(file), &name)
    })
    .await
    .expect("reading an archive does not panic")
}

fn read_members(compressed: impl Read, name: &str) -> Result<Vec<ArchiveMember>, BundleError> {
    let refused = |reason: String| BundleError::Archive {
        name: name.to_owned(),
        reason,
        source: None,
    };
    let unreadable = |source| BundleError::Archive {
        name: name.to_owned(),
        reason: "it cannot be read as tar.gz".to_owned(),
        source: Some(source),
    };
    let limited = MultiGzDecoder::new(compressed).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(limited);
    let mut members = Vec::new();
    let mut paths = BTreeSet::new();
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let raw = entry.path().map_err(unreadable)?.into_owned();
        let path = plain_path(&raw)
            .ok_or_else(|| refused(format!("member `{}` has an unsafe path", raw.display())))?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        if kind.is_symlink() {
            let target = entry.link_name().map_err(unreadable)?.unwrap_or_default();
            if !stays_inside(&path, &target) {
                return Err(refused(format!("link `{path}` leads out of the archive")));
            }
            continue;
        }
        if !kind.is_file() && !kind.is_contiguous() {
            return Err(refused(format!(
                "member `{path}` is neither file, folder nor symbolic link ({kind:?})"
            )));
        }
        if !paths.insert(path.clone()) {
            return Err(refused(format!("member `{path}` occurs twice")));
        }
        if members.len() == MAX_MEMBERS {
            return Err(refused(format!("it has more than {MAX_MEMBERS} files")));
        }
        let mode = entry.header().mode().map_err(unreadable)? & 0o7777;
        let mut hasher = Hasher::default();
        io::copy(&mut entry, &mut hasher).map_err(unreadable)?;
        if hasher.size != entry.size() {
            return Err(refused(format!(
                "it ends inside `{path}` or is larger than {MAX_UNPACKED} bytes"
            )));
        }
        members.push(ArchiveMember {
            path,
            mode,
            sha256: Sha256Digest::from_bytes(hasher.sha256.finalize().into()),
            size: hasher.size,
        });
    }
    match members.is_empty() {
        true => Err(refused("it holds no file".to_owned())),
        false => Ok(members),
    }
}

/// Returns `path` without `./`, or nothing if it is absolute, leads upwards or is not UTF-8.
fn plain_path(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Returns whether the link at `link` with `target` ends below the archive's root.
fn stays_inside(link: &str, target: &Path) -> bool {
    let mut depth = link.split('/').count() as i64 - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

#[derive(Default)]
struct Hasher {
    sha256: Sha256,
    size: u64,
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use tar::EntryType;

    /// Packs one entry whose name is written as it is, as a hostile packer would.
    fn archive(name: &str, kind: EntryType, link: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind) in [("./bin/runc", EntryType::Regular), (name, kind)] {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o755);
            let content: &[u8] = if kind == EntryType::Regular {
                b"runc"
            } else {
                b""
            };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn regular_files_are_listed_with_mode_digest_and_size() {
        let bytes = archive("bin/run", EntryType::Symlink, "../bin/runc");
        let members = read_members(&bytes[..], "x").unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].path, "bin/runc");
        assert_eq!((members[0].mode, members[0].size), (0o755, 4));
        assert_eq!(members[0].sha256, Sha256Digest::of("runc"));
    }

    #[test]
    fn archives_that_could_write_elsewhere_are_refused() {
        for (name, kind, link) in [
            ("/etc/passwd", EntryType::Regular, ""),
            ("../etc/passwd", EntryType::Regular, ""),
            ("a/../../b", EntryType::Regular, ""),
            ("bin/runc", EntryType::Regular, ""),
            ("bin/x", EntryType::Symlink, "/etc/passwd"),
            ("bin/x", EntryType::Symlink, "../../etc"),
            ("bin/x", EntryType::Link, "bin/runc"),
            ("bin/x", EntryType::Block, ""),
        ] {
            let bytes = archive(name, kind, link);
            assert!(
                read_members(&bytes[..], "x").is_err(),
                "{name} {kind:?} {link}"
            );
        }
    }

    #[test]
    fn truncated_and_foreign_bytes_are_refused() {
        let bytes = archive("a", EntryType::Regular, "");
        assert!(read_members(&bytes[..bytes.len() / 2], "x").is_err());
        assert!(read_members(&b"junk"[..], "x").is_err());
        assert!(read_members(&b""[..], "x").is_err());
    }
}
