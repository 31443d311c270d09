//! Room for file watches, which all hosts of all labs share with this machine.

use std::path::Path;

/// How many sets of file watches root may have, in all containers together.
const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";
/// What is made of the kernel's 128. A host with a kubelet and containerd takes
/// about 20; one more than there is room for, and containerd starts without its
/// CRI plugin, which says nothing of watches.
const WANTED: u64 = 1024;

/// Makes room, until this machine boots again, and returns what there was where
/// that was less. Where the limit cannot be raised, it stays.
pub(crate) fn make_room() -> Option<u64> {
    raise(Path::new(INSTANCES))
}

fn raise(path: &Path) -> Option<u64> {
    let found: u64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    if found >= WANTED {
        return None;
    }
    std::fs::write(path, WANTED.to_string()).ok()?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_once_and_never_lowered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("max_user_instances");
        std::fs::write(&path, "128\n").unwrap();
        assert_eq!(raise(&path), Some(128));
        assert_eq!(raise(&path), None);
        std::fs::write(&path, "8192\n").unwrap();
        assert_eq!(raise(&path), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "8192\n");
        assert_eq!(raise(&folder.path().join("absent")), None);
    }
}
