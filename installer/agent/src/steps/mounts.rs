//! Mounts below a folder.

use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use slipway_api::Check;
use slipway_api::step::UnmountBelow;

use super::needed;
use crate::AgentError;
use crate::context::Context;

/// What this process sees mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Beginnings of file systems whose server may be gone: asked nicely, they
/// keep everybody waiting.
const REMOTE: [&str; 5] = ["nfs", "cifs", "smb", "ceph", "fuse"];

/// A mount.
#[derive(Clone, Debug, PartialEq)]
struct Mount {
    point: String,
    kind: String,
}

pub(super) fn check_mounts(step: &UnmountBelow, context: &Context) -> Result<Check, AgentError> {
    let mounts = mounts_below(&context.at(&step.path))?;
    Ok(needed(mounts.first().map(|path| {
        format!("{} mounts, {path} among them", mounts.len())
    })))
}

pub(super) fn apply_mounts(step: &UnmountBelow, context: &Context) -> Result<(), AgentError> {
    for mount in below(&context.at(&step.path))? {
        detach(&mount)?;
    }
    Ok(())
}

/// Unmounts, at last lazily: it is gone from the tree then, though a process
/// may hold on to it.
fn detach(mount: &Mount) -> Result<(), AgentError> {
    // NOFOLLOW: a link planted below the folder must not lead to another mount.
    let plain = UnmountFlags::NOFOLLOW;
    let lazy = plain | UnmountFlags::DETACH;
    let is_remote = REMOTE.iter().any(|kind| mount.kind.starts_with(kind));
    let flags = if is_remote {
        [lazy | UnmountFlags::FORCE, lazy]
    } else {
        [plain, lazy]
    };
    let mut last = Errno::BUSY;
    for flags in flags {
        match unmount(mount.point.as_str(), flags) {
            // It went with another one, or its folder is gone.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(AgentError::file("unmount", mount.point.as_ref())(
        last.into(),
    ))
}

/// Unmounts what is mounted at `path` itself; nothing there is fine.
pub(super) fn detach_at(path: &Path) -> Result<(), AgentError> {
    detach(&Mount {
        point: path.to_string_lossy().into_owned(),
        kind: String::new(),
    })
}

/// Returns the mount points below a folder, deepest first; the folder may be
/// reached by a symbolic link.
pub(super) fn mounts_below(folder: &Path) -> Result<Vec<String>, AgentError> {
    Ok(below(folder)?
        .into_iter()
        .map(|mount| mount.point)
        .collect())
}

/// Returns whether a file system is mounted at this very folder.
pub(super) fn is_mount_point(folder: &Path) -> Result<bool, AgentError> {
    let folder = real(folder);
    Ok(all()?.iter().any(|mount| Path::new(&mount.point) == folder))
}

fn below(folder: &Path) -> Result<Vec<Mount>, AgentError> {
    let folder = real(folder);
    let is_below = |mount: &Mount| {
        let point = Path::new(&mount.point);
        point != folder && point.starts_with(&folder)
    };
    let mut found = all()?;
    found.retain(is_below);
    found.reverse();
    Ok(found)
}

fn real(folder: &Path) -> std::path::PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

fn all() -> Result<Vec<Mount>, AgentError> {
    let text =
        std::fs::read_to_string(MOUNTS).map_err(AgentError::file("read", MOUNTS.as_ref()))?;
    Ok(parse_mounts(&text))
}

/// Returns the mounts of `mountinfo`, in its order.
fn parse_mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (mount, source) = line.split_once(" - ")?;
        Some(Mount {
            point: unescape(mount.split(' ').nth(4)?),
            kind: source.split(' ').next()?.to_owned(),
        })
    };
    text.lines().filter_map(mount).collect()
}

fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_spaces_are_read() {
        let text = "36 35 98:0 /a /var/lib/kubelet/pods/a\\040b rw shared:3 - nfs4 nas:/a rw\n";
        let mount = Mount {
            point: "/var/lib/kubelet/pods/a b".to_owned(),
            kind: "nfs4".to_owned(),
        };
        assert_eq!(parse_mounts(text), [mount]);
    }

    #[test]
    fn this_machine_s_mounts_are_told_apart_from_folders() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(folder.path()).unwrap());
        assert_eq!(mounts_below(folder.path()).unwrap(), Vec::<String>::new());
        assert!(
            mounts_below(Path::new("/"))
                .unwrap()
                .contains(&"/proc".to_owned())
        );
    }

    #[test]
    fn unmounting_nothing_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        detach_at(&folder.path().join("gone")).unwrap();
    }
}
