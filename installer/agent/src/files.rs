//! Files as Slipway writes them: whole or not at all, never readable too early.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use slipway_api::Sha256Digest;

use crate::AgentError;

/// Returns a text that no other call on this host returns at the same time.
pub(crate) fn nonce() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

/// Makes a folder with its parents, mode 0700 where it is new.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), AgentError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(AgentError::file("make folder", path))
}

/// Makes a folder with its parents, mode 0755 where it is new.
pub(crate) fn make_dir(path: &Path) -> Result<(), AgentError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(AgentError::file("make folder", path))
}

/// Writes a file atomically with exactly `mode`: a crash leaves the old file or the new one.
pub(crate) fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), AgentError> {
    write_from(path, mode, &mut &content[..], None)
}

/// Does the same with what `reader` gives; other bytes than `expected` are not
/// put in place.
pub(crate) fn write_from(
    path: &Path,
    mode: u32,
    reader: &mut dyn Read,
    expected: Option<Sha256Digest>,
) -> Result<(), AgentError> {
    let parent = path
        .parent()
        .expect("every path that is written has a parent");
    make_dir(parent)?;
    for abandoned in abandoned(path)? {
        std::fs::remove_file(&abandoned).map_err(AgentError::file("delete", &abandoned))?;
    }
    let temporary = temporary_beside(path);
    let mut found = None;
    let result = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode & 0o700)
            .open(&temporary)?;
        // Held until the file has its name, so that nobody takes it for abandoned.
        file.lock()?;
        let sha256 = copy_hashed(reader, &mut file)?;
        if let Some(expected) = expected
            && expected != sha256
        {
            found = Some((expected, sha256));
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidData));
        }
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.flush()?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        std::fs::File::open(parent)?.sync_all()
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    match found {
        Some((expected, found)) => Err(AgentError::WrongBlob { expected, found }),
        None => result.map_err(AgentError::file("write", path)),
    }
}

/// Copies everything and returns the digest of what was copied.
fn copy_hashed(reader: &mut dyn Read, file: &mut std::fs::File) -> std::io::Result<Sha256Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let got = reader.read(&mut buffer)?;
        if got == 0 {
            return Ok(Sha256Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(&buffer[..got]);
        file.write_all(&buffer[..got])?;
    }
}

/// Returns a name in the same folder that the kubelet ignores in a manifests
/// folder: it skips files that begin with a dot.
fn temporary_beside(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}{}", temporary_prefix(path), nonce()))
}

fn temporary_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.slipway-")
}

/// Returns what is left beside `path` of writes that were killed half-way: whoever
/// writes holds a lock on the file, which the kernel ends with the process.
pub(crate) fn abandoned(path: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let mut begun = beginning_with(parent, &temporary_prefix(path))?;
    begun.retain(|path| {
        let is_file = std::fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
        is_file && std::fs::File::open(path).is_ok_and(|file| file.try_lock().is_ok())
    });
    Ok(begun)
}

/// Returns what in `folder` has a name that begins with `prefix`, in order; nothing
/// where there is no folder.
pub(crate) fn beginning_with(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, AgentError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(AgentError::file("read", folder)(error)),
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.filter(|name| name.starts_with(prefix));
    let mut paths: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    paths.sort();
    Ok(paths)
}

/// Returns the digest of a file's bytes; none where there is no file.
pub(crate) fn digest(path: &Path) -> Result<Option<Sha256Digest>, AgentError> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(AgentError::file("read", path)(error)),
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let got = file
            .read(&mut buffer)
            .map_err(AgentError::file("read", path))?;
        if got == 0 {
            return Ok(Some(Sha256Digest::from_bytes(hash.finalize().into())));
        }
        hash.update(&buffer[..got]);
    }
}

/// Returns a file's text; none where there is no file.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, AgentError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(AgentError::file("read", path)(error)),
    }
}

/// Returns why a file is not the one with this digest and mode; none if it is.
pub(crate) fn difference(
    path: &Path,
    sha256: Sha256Digest,
    mode: u32,
) -> Result<Option<String>, AgentError> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if is_absent(&error) => return Ok(Some("it is not there".to_owned())),
        Err(error) => return Err(AgentError::file("read", path)(error)),
    };
    if !found.is_file() {
        return Ok(Some("it is not a file".to_owned()));
    }
    if digest(path)? != Some(sha256) {
        return Ok(Some("its content differs".to_owned()));
    }
    let found_mode = found.mode() & 0o7777;
    Ok((found_mode != mode).then(|| format!("its mode is {found_mode:04o}, not {mode:04o}")))
}

/// Returns why others than root can get at a secret file; none if they cannot.
pub(crate) fn exposure(path: &Path) -> Result<Option<String>, AgentError> {
    let found = std::fs::metadata(path).map_err(AgentError::file("read", path))?;
    let mode = found.mode() & 0o7777;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if mode & !PRIVATE != 0 {
        return Ok(Some(format!(
            "{name} has the mode {mode:04o}, not {PRIVATE:04o}"
        )));
    }
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    Ok((!is_own).then(|| format!("{name} belongs to user {}", found.uid())))
}

/// Makes a secret file root's alone, its content untouched.
pub(crate) fn close(path: &Path) -> Result<(), AgentError> {
    let owner = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    std::os::unix::fs::chown(path, Some(owner), Some(group))
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(PRIVATE)))
        .map_err(AgentError::file("close", path))
}

/// The mode of files that hold secrets.
const PRIVATE: u32 = 0o600;

/// Puts a symbolic link in place of whatever file or link is there.
pub(crate) fn link(path: &Path, target: &Path) -> Result<(), AgentError> {
    let parent = path
        .parent()
        .expect("every path that is written has a parent");
    make_dir(parent)?;
    let temporary = temporary_beside(path);
    std::os::unix::fs::symlink(target, &temporary)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(AgentError::file("link", path))
}

/// Returns whether a folder holds anything; what every new ext file system
/// holds, an empty `lost+found`, is nothing.
pub(crate) fn has_content(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut other = entries.filter(|entry| entry.file_name() != "lost+found");
    other.next().is_some()
}

/// Deletes a file or folder, where there is one; a symbolic link is deleted,
/// never followed.
pub(crate) fn delete(path: &Path) -> Result<(), AgentError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if !is_absent(&error) => Err(AgentError::file("delete", path)(error)),
        _ => Ok(()),
    }
}

/// Returns whether an error says that there is nothing at a path.
pub(crate) fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_system_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_content(&folder.path().join("absent")));
        std::fs::create_dir(folder.path().join("lost+found")).unwrap();
        assert!(!has_content(folder.path()));
        std::fs::create_dir(folder.path().join("member")).unwrap();
        assert!(has_content(folder.path()));
    }

    #[test]
    fn a_secret_that_others_can_read_is_closed_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sa.key");
        for (mode, is_exposed) in [
            (0o640, true),
            (0o600, false),
            (0o400, false),
            (0o4600, true),
        ] {
            write(&path, mode, b"secret").unwrap();
            assert_eq!(exposure(&path).unwrap().is_some(), is_exposed, "{mode:o}");
            close(&path).unwrap();
            assert_eq!(exposure(&path).unwrap(), None);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"secret");
    }

    #[test]
    fn what_a_killed_write_left_goes_with_the_next_one_and_a_living_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runc");
        let dead = folder.path().join(".runc.slipway-1-0");
        let alive = folder.path().join(".runc.slipway-2-0");
        let other = folder.path().join(".runc-2.slipway-1-0");
        for beside in [&dead, &alive, &other] {
            std::fs::write(beside, "half").unwrap();
        }
        let writer = std::fs::File::open(&alive).unwrap();
        writer.lock().unwrap();
        assert_eq!(abandoned(&path).unwrap(), [dead.as_path()]);
        write(&path, 0o755, b"whole").unwrap();
        assert!(!dead.exists());
        assert!(alive.exists() && other.exists());
        drop(writer);
        assert_eq!(abandoned(&path).unwrap(), [alive.as_path()]);
    }

    #[test]
    fn a_written_file_has_its_content_and_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.key");
        for content in ["first", "second"] {
            write(&path, 0o600, content.as_bytes()).unwrap();
            let sha256 = Sha256Digest::of(content);
            assert_eq!(difference(&path, sha256, 0o600).unwrap(), None);
        }
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
        let mode = difference(&path, Sha256Digest::of("second"), 0o644).unwrap();
        assert_eq!(mode.as_deref(), Some("its mode is 0600, not 0644"));
    }
}
