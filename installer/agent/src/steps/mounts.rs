//! Mounts below a folder.

use rustix::mount::{UnmountFlags, unmount};
use slipway_api::Check;
use slipway_api::step::UnmountBelow;

use super::needed;
use crate::AgentError;

pub(super) fn check_mounts(step: &UnmountBelow) -> Result<Check, AgentError> {
    let mounts = mounts_below(&step.path)?;
    Ok(needed(mounts.first().map(|path| {
        format!("{} mounts, {path} among them", mounts.len())
    })))
}

pub(super) fn apply_mounts(step: &UnmountBelow) -> Result<(), AgentError> {
    for path in mounts_below(&step.path)? {
        // NOFOLLOW: a link planted below the folder must not lead to another mount.
        unmount(&path, UnmountFlags::NOFOLLOW)
            .or_else(|_| unmount(&path, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH))
            .map_err(|error| AgentError::File {
                doing: "unmount",
                path: path.clone().into(),
                source: error.into(),
            })?;
    }
    Ok(())
}

/// Returns the mount points below a folder, deepest first.
pub(super) fn mounts_below(folder: &str) -> Result<Vec<String>, AgentError> {
    let file = std::path::Path::new("/proc/self/mountinfo");
    let text = std::fs::read_to_string(file).map_err(AgentError::file("read", file))?;
    let mut found = parse_mount_points(&text);
    let prefix = format!("{folder}/");
    found.retain(|path| path.starts_with(&prefix));
    found.reverse();
    Ok(found)
}

/// Returns the mount points of `mountinfo`, in its order; octal escapes are undone.
pub(crate) fn parse_mount_points(text: &str) -> Vec<String> {
    let field = |line: &str| line.split(' ').nth(4).map(unescape);
    text.lines().filter_map(field).collect()
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
        let text = "36 35 98:0 /a /var/lib/kubelet/pods/a\\040b rw - tmpfs tmpfs rw\n";
        assert_eq!(parse_mount_points(text), ["/var/lib/kubelet/pods/a b"]);
    }
}
