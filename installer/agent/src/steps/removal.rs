//! Files and folders, deleted or put back as they were before Slipway came.

use std::path::{Path, PathBuf};

use slipway_api::Check;
use slipway_api::step::{RememberPaths, RemovalScope, RemoveFiles, RemovePath};

use super::mounts::{is_mount_point, mounts_below};
use super::needed;
use crate::before::{Before, Was};
use crate::context::Context;
use crate::{AgentError, files};

/// How many names a reason holds.
const NAMED: usize = 4;

pub(super) fn check_remembered(
    step: &RememberPaths,
    context: &Context,
) -> Result<Check, AgentError> {
    let before = Before::load(context)?;
    if !before.exists() && context.at(slipway_api::paths::CLUSTER_MARKER).exists() {
        // Installed by a build that remembered nothing: it is too late now.
        return Ok(Check::Satisfied);
    }
    let unknown = step
        .paths
        .iter()
        .filter(|path| before.of(path).is_none())
        .count();
    Ok(needed(
        (unknown > 0).then(|| format!("{unknown} paths are not known yet")),
    ))
}

pub(super) fn apply_remembered(step: &RememberPaths, context: &Context) -> Result<(), AgentError> {
    let mut before = Before::load(context)?;
    for path in &step.paths {
        if before.of(path).is_none() {
            before.remember(path, context)?;
        }
    }
    before.save()
}

pub(super) fn check_path(step: &RemovePath, context: &Context) -> Result<Check, AgentError> {
    let before = Before::load(context)?;
    let because = match step.scope {
        RemovalScope::Everything => leftover(&step.path, &before, context)?,
        RemovalScope::UnlessUsedBefore if before.of(&step.path) == Some(&Was::UsedFolder) => None,
        RemovalScope::UnlessUsedBefore => leftover(&step.path, &before, context)?,
        RemovalScope::EmptyFolders => {
            let is_new = matches!(before.of(&step.path), None | Some(Was::Absent));
            let path = context.at(&step.path);
            (is_new && path.is_dir() && holds_no_file(&path)?).then_some("it holds no file")
        }
    };
    Ok(needed(because))
}

pub(super) fn apply_path(step: &RemovePath, context: &Context) -> Result<(), AgentError> {
    match step.scope {
        RemovalScope::Everything | RemovalScope::UnlessUsedBefore => {
            remove(&step.path, &Before::load(context)?, context)
        }
        RemovalScope::EmptyFolders => remove_empty(&context.at(&step.path)),
    }
}

pub(super) fn check_files(step: &RemoveFiles, context: &Context) -> Result<Check, AgentError> {
    let before = Before::load(context)?;
    let mut there: Vec<String> = Vec::new();
    for path in expand(step, context)? {
        if leftover(&path, &before, context)?.is_some() {
            there.push(
                path.trim_start_matches(&step.folder)
                    .trim_start_matches('/')
                    .to_owned(),
            );
        }
    }
    let more = there.len().saturating_sub(NAMED);
    there.truncate(NAMED);
    if more > 0 {
        there.push(format!("{more} more"));
    }
    Ok(needed(
        (!there.is_empty()).then(|| format!("there: {}", there.join(", "))),
    ))
}

pub(super) fn apply_files(step: &RemoveFiles, context: &Context) -> Result<(), AgentError> {
    let before = Before::load(context)?;
    for path in expand(step, context)? {
        remove(&path, &before, context)?;
    }
    Ok(())
}

/// Returns the absolute paths that a step means.
fn expand(step: &RemoveFiles, context: &Context) -> Result<Vec<String>, AgentError> {
    let mut found = Vec::new();
    for name in &step.names {
        let path = format!("{}/{name}", step.folder);
        let (folder, name) = path.rsplit_once('/').expect("the path is absolute");
        let at = context.at(folder);
        let others = match name.strip_suffix('*') {
            Some(beginning) => files::beginning_with(&at, beginning)?,
            None => files::abandoned(&at.join(name))?,
        };
        for other in others {
            let other = other.file_name().unwrap_or_default().to_string_lossy();
            found.push(format!("{folder}/{other}"));
        }
        if !name.ends_with('*') {
            found.push(path);
        }
    }
    Ok(found)
}

/// Returns why there is something to do about `path`.
fn leftover(
    path: &str,
    before: &Before,
    context: &Context,
) -> Result<Option<&'static str>, AgentError> {
    let at = context.at(path);
    let is_there = std::fs::symlink_metadata(&at).is_ok();
    Ok(match before.of(path) {
        Some(was @ (Was::File(_) | Was::Link { .. })) => {
            (!before.is_back(&at, was)?).then_some("the one from before Slipway comes back")
        }
        Some(Was::EmptyFolder | Was::UsedFolder) => has_content(&at).then_some("it has content"),
        Some(Was::Absent) | None if !stays(&at)? => is_there.then_some("it is there"),
        Some(Was::Absent) | None => has_content(&at).then_some("it has content"),
    })
}

/// Deletes what is at `path`, or puts back what was there before.
pub(super) fn remove(path: &str, before: &Before, context: &Context) -> Result<(), AgentError> {
    let at = context.at(path);
    // Deleting must never reach into something that is mounted there.
    if let Some(mount) = mounts_below(&at)?.first() {
        return Err(AgentError::Blocked {
            message: format!("{mount} is still mounted below {path}, so nothing was deleted"),
            help: format!("`umount {mount}`, then run the same command again"),
        });
    }
    match before.of(path) {
        Some(was @ (Was::File(_) | Was::Link { .. })) => {
            if at.is_dir() && !at.is_symlink() {
                files::delete(&at)?;
            }
            before.put_back(&at, was)
        }
        Some(Was::EmptyFolder | Was::UsedFolder) => empty(&at),
        Some(Was::Absent) | None if stays(&at)? => empty(&at),
        Some(Was::Absent) | None => files::delete(&at),
    }
}

/// Returns whether a folder is only emptied: it is a mount point, or somebody
/// led here by a symbolic link to where there is room.
fn stays(path: &Path) -> Result<bool, AgentError> {
    Ok(path.is_dir() && (path.is_symlink() || is_mount_point(path)?))
}

fn has_content(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let read = || {
        std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    match read() {
        Ok(entries) => Ok(entries),
        Err(error) if files::is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(AgentError::file("read", folder)(error)),
    }
}

fn empty(folder: &Path) -> Result<(), AgentError> {
    entries(folder)?
        .iter()
        .try_for_each(|path| files::delete(path))
}

fn holds_no_file(folder: &Path) -> Result<bool, AgentError> {
    for path in entries(folder)? {
        let is_folder = path.is_dir() && !path.is_symlink();
        if !is_folder || is_mount_point(&path)? || !holds_no_file(&path)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes folders from the innermost on; one that got a file meanwhile stays.
fn remove_empty(folder: &Path) -> Result<(), AgentError> {
    for path in entries(folder)? {
        remove_empty(&path)?;
    }
    std::fs::remove_dir(folder).map_err(AgentError::file("delete", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;

    fn context(root: &Path) -> Context {
        let events = tokio::sync::mpsc::unbounded_channel().0;
        Context::new(root, events, Attachment::default())
    }

    fn write(context: &Context, path: &str, text: &str) {
        files::write(&context.at(path), 0o644, text.as_bytes()).unwrap();
    }

    fn run_path(path: &str, scope: RemovalScope, context: &Context) {
        let step = RemovePath {
            path: path.to_owned(),
            scope,
        };
        if let Check::Needed { .. } = check_path(&step, context).unwrap() {
            apply_path(&step, context).unwrap();
        }
        assert_eq!(
            check_path(&step, context).unwrap(),
            Check::Satisfied,
            "{path}"
        );
    }

    fn cni_plugins() -> RemoveFiles {
        RemoveFiles {
            folder: "/opt/cni/bin".to_owned(),
            names: ["bridge", "portmap", "flannel"].map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn a_reset_leaves_foreign_files_byte_for_byte_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        write(&context, "/opt/cni/bin/mine", "mine");
        write(&context, "/opt/cni/bin/bridge", "an older bridge");
        let remembered = RememberPaths {
            paths: [
                "/opt/cni",
                "/opt/cni/bin",
                "/opt/cni/bin/bridge",
                "/opt/cni/bin/portmap",
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        apply_remembered(&remembered, &context).unwrap();
        assert_eq!(
            check_remembered(&remembered, &context).unwrap(),
            Check::Satisfied
        );
        for name in ["bridge", "portmap", "flannel"] {
            write(&context, &format!("/opt/cni/bin/{name}"), "Slipway's");
        }

        let step = cni_plugins();
        let Check::Needed { because } = check_files(&step, &context).unwrap() else {
            panic!("there is something to do");
        };
        assert_eq!(because, "there: bridge, portmap, flannel");
        apply_files(&step, &context).unwrap();
        assert_eq!(check_files(&step, &context).unwrap(), Check::Satisfied);
        let text = |name: &str| std::fs::read_to_string(context.at("/opt/cni/bin").join(name));
        assert_eq!(text("mine").unwrap(), "mine");
        assert_eq!(text("bridge").unwrap(), "an older bridge");
        assert!(text("portmap").is_err() && text("flannel").is_err());
    }

    #[test]
    fn what_a_killed_write_left_beside_a_program_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        write(&context, "/opt/cni/bin/.bridge.slipway-7-0", "half of it");
        assert_ne!(
            check_files(&cni_plugins(), &context).unwrap(),
            Check::Satisfied
        );
        apply_files(&cni_plugins(), &context).unwrap();
        let beside = context.at("/opt/cni/bin/.bridge.slipway-7-0");
        assert!(!beside.exists());
    }

    #[test]
    fn folders_that_nobody_else_uses_go_with_their_last_file() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let remembered = RememberPaths {
            paths: vec!["/opt/cni".to_owned()],
        };
        apply_remembered(&remembered, &context).unwrap();
        write(&context, "/opt/cni/bin/bridge", "Slipway's");
        run_path("/opt/cni", RemovalScope::EmptyFolders, &context);
        assert!(context.at("/opt/cni/bin/bridge").exists());
        apply_files(&cni_plugins(), &context).unwrap();
        run_path("/opt/cni", RemovalScope::EmptyFolders, &context);
        assert!(!context.at("/opt/cni").exists());
    }

    #[test]
    fn a_folder_that_was_used_before_keeps_what_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        write(&context, "/var/lib/containerd/images", "somebody's");
        let remembered = RememberPaths {
            paths: vec!["/var/lib/containerd".to_owned()],
        };
        apply_remembered(&remembered, &context).unwrap();
        run_path(
            "/var/lib/containerd",
            RemovalScope::UnlessUsedBefore,
            &context,
        );
        assert!(context.at("/var/lib/containerd/images").exists());
    }

    #[test]
    fn a_host_that_was_installed_without_a_record_is_not_remembered_too_late() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        write(&context, slipway_api::paths::CLUSTER_MARKER, "harbour");
        let step = RememberPaths {
            paths: vec!["/opt/cni".to_owned()],
        };
        assert_eq!(check_remembered(&step, &context).unwrap(), Check::Satisfied);
    }

    #[test]
    fn a_linked_folder_is_emptied_and_links_inside_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        write(&context, "/outside/keep", "kept");
        write(&context, "/data/kubelet/config.yaml", "gone");
        std::fs::create_dir_all(context.at("/var/lib")).unwrap();
        let link = |from: &str, to: &str| {
            std::os::unix::fs::symlink(context.at(to), context.at(from)).unwrap();
        };
        link("/var/lib/kubelet", "/data/kubelet");
        link("/data/kubelet/pods", "/outside");
        run_path("/var/lib/kubelet", RemovalScope::Everything, &context);
        assert!(context.at("/var/lib/kubelet").is_symlink());
        assert!(!has_content(&context.at("/data/kubelet")));
        assert!(context.at("/outside/keep").exists());
    }

    #[test]
    fn nothing_there_is_nothing_to_do() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        assert_eq!(
            check_files(&cni_plugins(), &context).unwrap(),
            Check::Satisfied
        );
        apply_files(&cni_plugins(), &context).unwrap();
        run_path("/etc/kubernetes", RemovalScope::Everything, &context);
        run_path("/etc/cni", RemovalScope::EmptyFolders, &context);
    }

    #[test]
    fn a_star_stands_for_the_rest_of_a_name() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        for name in ["cbr0-1-eth0", "cbr0-2-eth0", "podman-3-eth0"] {
            write(&context, &format!("/var/lib/cni/results/{name}"), "{}");
        }
        let step = RemoveFiles {
            folder: "/var/lib/cni".to_owned(),
            names: vec!["results/cbr0-*".to_owned(), "cache/cbr0-*".to_owned()],
        };
        apply_files(&step, &context).unwrap();
        let left = entries(&context.at("/var/lib/cni/results")).unwrap();
        assert_eq!(left, [context.at("/var/lib/cni/results/podman-3-eth0")]);
    }
}
