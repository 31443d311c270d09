//! The user's own files: brought from beside the cluster file, and taken away again.

use std::path::Path;

use slipway_api::Check;
use slipway_api::step::{PlaceFile, WithdrawFile};

use super::{needed, removal};
use crate::before::{Before, Was};
use crate::context::Context;
use crate::placed_files::PlacedFiles;
use crate::{AgentError, files};

pub(super) fn check_placed(step: &PlaceFile, context: &Context) -> Result<Check, AgentError> {
    let path = context.at(&step.path);
    refuse_folder(step, &path)?;
    let different = files::difference(&path, step.content.sha256, step.mode)?;
    let is_noted = PlacedFiles::load(context.root())?.contains(&step.path);
    let unknown = (!is_noted).then(|| "it is not noted as the cluster file's".to_owned());
    Ok(needed(different.or(unknown)))
}

pub(super) fn apply_placed(step: &PlaceFile, context: &Context) -> Result<(), AgentError> {
    let content = context.attachment.content.as_ref().ok_or_else(|| {
        AgentError::BadRequest(format!(
            "the content of {} is missing from the request",
            step.path
        ))
    })?;
    let path = context.at(&step.path);
    refuse_folder(step, &path)?;
    PlacedFiles::add(&step.path, context.root())?;
    if files::difference(&path, step.content.sha256, step.mode)?.is_none() {
        // A new copy of the same would restart what reads it.
        return Ok(());
    }
    let mut reader = content.as_bytes();
    files::write_from(&path, step.mode, &mut reader, Some(step.content.sha256))
}

pub(super) fn check_withdrawn(step: &WithdrawFile, context: &Context) -> Result<Check, AgentError> {
    let is_noted = PlacedFiles::load(context.root())?.contains(&step.path);
    Ok(needed(is_noted.then_some("Slipway brought it")))
}

pub(super) fn apply_withdrawn(step: &WithdrawFile, context: &Context) -> Result<(), AgentError> {
    let before = Before::load(context)?;
    // Nobody brought a folder: somebody made it where the file was.
    if !context.at(&step.path).is_dir() {
        removal::remove(&step.path, &before, context)?;
    }
    remove_new_folders(&step.path, &before, context);
    PlacedFiles::remove(&step.path, context.root())
}

/// Removes the folders above `path` that are empty and were not there before.
fn remove_new_folders(path: &str, before: &Before, context: &Context) {
    for folder in Path::new(path).ancestors().skip(1) {
        let was = folder.to_str().and_then(|folder| before.of(folder));
        let at = context.at(&folder.to_string_lossy());
        // The kernel refuses to remove a folder that holds something.
        if was != Some(&Was::Absent) || std::fs::remove_dir(at).is_err() {
            return;
        }
    }
}

fn refuse_folder(step: &PlaceFile, path: &Path) -> Result<(), AgentError> {
    if !path.is_dir() {
        return Ok(());
    }
    Err(AgentError::Blocked {
        message: format!("{} is a folder, so no file is written there", step.path),
        help: "name the file in it: `dest: FOLDER/NAME`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;
    use slipway_api::step::RememberPaths;
    use slipway_api::{Blob, FileContent, Sha256Digest, paths};

    const POLICY: &str = "/etc/kubernetes/audit/policy.yaml";

    fn context(root: &Path, content: &str) -> Context {
        let attachment = Attachment {
            content: Some(FileContent::new(content.into())),
            ..Attachment::default()
        };
        let events = tokio::sync::mpsc::unbounded_channel().0;
        Context::new(root, events, attachment)
    }

    fn place(path: &str, text: &str) -> PlaceFile {
        PlaceFile {
            path: path.to_owned(),
            mode: 0o600,
            content: Blob {
                sha256: Sha256Digest::of(text),
                size: text.len() as u64,
            },
        }
    }

    fn remember(paths: &[&str], context: &Context) {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        removal::apply_remembered(&RememberPaths { paths }, context).unwrap();
    }

    #[test]
    fn a_file_is_taken_from_the_request_and_only_if_it_is_the_planned_one() {
        let root = tempfile::tempdir().unwrap();
        let mut context = context(root.path(), "a");
        assert!(apply_placed(&place(POLICY, "b"), &context).is_err());
        assert!(!context.at(POLICY).exists());
        apply_placed(&place(POLICY, "a"), &context).unwrap();
        let check = check_placed(&place(POLICY, "a"), &context).unwrap();
        assert_eq!(check, Check::Satisfied);
        context.attachment.content = None;
        assert!(apply_placed(&place(POLICY, "a"), &context).is_err());
    }

    #[test]
    fn a_file_goes_again_with_the_folders_that_were_made_for_it() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path(), "a");
        std::fs::create_dir_all(context.at("/etc")).unwrap();
        remember(
            &[POLICY, "/etc/kubernetes/audit", "/etc/kubernetes", "/etc"],
            &context,
        );
        apply_placed(&place(POLICY, "a"), &context).unwrap();
        files::write(&context.at("/etc/kubernetes/admin.conf"), 0o600, b"").unwrap();
        let step = WithdrawFile {
            path: POLICY.to_owned(),
        };
        assert_ne!(check_withdrawn(&step, &context).unwrap(), Check::Satisfied);
        apply_withdrawn(&step, &context).unwrap();
        assert_eq!(check_withdrawn(&step, &context).unwrap(), Check::Satisfied);
        assert!(!context.at("/etc/kubernetes/audit").exists());
        assert!(context.at("/etc/kubernetes/admin.conf").exists());
    }

    #[test]
    fn somebody_s_file_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path(), "a");
        files::write(&context.at("/etc/motd"), 0o644, b"mine").unwrap();
        remember(&["/etc/motd"], &context);
        apply_placed(&place("/etc/motd", "a"), &context).unwrap();
        let step = WithdrawFile {
            path: "/etc/motd".to_owned(),
        };
        apply_withdrawn(&step, &context).unwrap();
        let text = std::fs::read_to_string(context.at("/etc/motd")).unwrap();
        assert_eq!(text, "mine");
        assert!(context.at(paths::PLACED_FILES).exists());
    }

    #[test]
    fn a_folder_is_never_overwritten_or_emptied() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path(), "a");
        files::write(&context.at("/etc/ssh/sshd_config"), 0o600, b"mine").unwrap();
        remember(&["/etc/ssh"], &context);
        for error in [
            check_placed(&place("/etc/ssh", "a"), &context).unwrap_err(),
            apply_placed(&place("/etc/ssh", "a"), &context).unwrap_err(),
        ] {
            assert!(error.to_string().contains("is a folder"), "{error}");
        }
        let step = WithdrawFile {
            path: "/etc/ssh".to_owned(),
        };
        assert_eq!(check_withdrawn(&step, &context).unwrap(), Check::Satisfied);
        apply_withdrawn(&step, &context).unwrap();
        assert!(context.at("/etc/ssh/sshd_config").exists());
    }
}
