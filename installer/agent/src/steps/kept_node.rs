//! A host's files as they were before an upgrade: kept, put back, forgotten.
//!
//! What is kept holds keys, so it lies where only root can look. It appears
//! under its name only when it is whole, and it is not taken again while it is
//! there: whoever goes on with an upgrade that was cut off finds the node
//! changed already.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slipway_api::step::{KeepNode, PutNodeBack};
use slipway_api::{Check, Sha256Digest, paths};

use super::needed;
use crate::context::Context;
use crate::{AgentError, files};

/// What is kept, by path.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept(BTreeMap<String, KeptFile>);

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
enum KeptFile {
    /// There was none.
    Absent,
    /// It had this content, which lies under this name among what is kept.
    Present {
        name: String,
        mode: u32,
        sha256: Sha256Digest,
    },
}

/// Names the list of what is kept.
const INDEX: &str = "index.json";

pub(super) fn check_kept(step: &KeepNode, context: &Context) -> Result<Check, AgentError> {
    let is_kept = index(&step.upgrade, context).exists();
    Ok(needed((!is_kept).then_some("they are about to change")))
}

pub(super) fn apply_kept(step: &KeepNode, context: &Context) -> Result<(), AgentError> {
    let folder = context.at(paths::KEPT_DIR);
    files::make_private_dir(&folder)?;
    let draft = folder.join(format!(".{}", step.upgrade));
    files::delete(&draft)?;
    files::make_private_dir(&draft)?;
    let mut kept = Kept::default();
    for (number, path) in step.paths.iter().enumerate() {
        if let Some(file) = keep(&context.at(path), &draft, &format!("{number:04}"))? {
            kept.0.insert(path.clone(), file);
        }
    }
    let text = serde_json::to_vec_pretty(&kept).expect("the list has only string keys");
    files::write(&draft.join(INDEX), 0o600, &text)?;
    let target = folder.join(&step.upgrade);
    files::delete(&target)?;
    std::fs::rename(&draft, &target).map_err(AgentError::file("rename", &draft))
}

/// Copies a file among what is kept; none for what is no plain file.
fn keep(path: &Path, folder: &Path, name: &str) -> Result<Option<KeptFile>, AgentError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if files::is_absent(&error) => return Ok(Some(KeptFile::Absent)),
        Err(error) => return Err(AgentError::file("read", path)(error)),
    };
    if !found.is_file() {
        return Ok(None);
    }
    let copy = folder.join(name);
    let mut reader = std::fs::File::open(path).map_err(AgentError::file("read", path))?;
    files::write_from(&copy, 0o600, &mut reader, None)?;
    let sha256 = files::digest(&copy)?.unwrap_or_else(|| Sha256Digest::of(""));
    Ok(Some(KeptFile::Present {
        name: name.to_owned(),
        mode: found.mode() & 0o7777,
        sha256,
    }))
}

pub(super) fn check_put_back(step: &PutNodeBack, context: &Context) -> Result<Check, AgentError> {
    let different = different(step, context)?;
    Ok(needed(different.first().map(
        |(path, _)| match different.len() {
            1 => format!("{path} differs from what was kept"),
            more => format!("{path} and {} more differ from what was kept", more - 1),
        },
    )))
}

pub(super) fn apply_put_back(step: &PutNodeBack, context: &Context) -> Result<(), AgentError> {
    let folder = context.at(paths::KEPT_DIR).join(&step.upgrade);
    for (path, file) in different(step, context)? {
        let target = context.at(&path);
        match file {
            KeptFile::Absent => files::delete(&target)?,
            KeptFile::Present { name, mode, sha256 } => {
                let copy = folder.join(name);
                let reader = std::fs::File::open(&copy);
                let mut reader = reader.map_err(AgentError::file("read", &copy))?;
                files::write_from(&target, mode, &mut reader, Some(sha256))?;
            }
        }
        context.log(format!("{path} is as it was"));
    }
    Ok(())
}

/// Returns the files that are not as they were kept; none where nothing was kept.
fn different(step: &PutNodeBack, context: &Context) -> Result<Vec<(String, KeptFile)>, AgentError> {
    let index = index(&step.upgrade, context);
    let Some(text) = files::read_text(&index)? else {
        return Ok(Vec::new());
    };
    let kept: Kept = serde_json::from_str(&text)
        .map_err(|error| AgentError::file("read", &index)(std::io::Error::from(error)))?;
    let mut different = Vec::new();
    for (path, file) in kept.0 {
        let found = context.at(&path);
        let is_same = match &file {
            KeptFile::Absent => !std::fs::symlink_metadata(&found).is_ok_and(|it| it.is_file()),
            KeptFile::Present { mode, sha256, .. } => {
                files::difference(&found, *sha256, *mode)?.is_none()
            }
        };
        if !is_same {
            different.push((path, file));
        }
    }
    Ok(different)
}

pub(super) fn check_forgotten(context: &Context) -> Result<Check, AgentError> {
    let is_there = context.at(paths::KEPT_DIR).exists();
    Ok(needed(is_there.then_some("the node has come through")))
}

pub(super) fn apply_forgotten(context: &Context) -> Result<(), AgentError> {
    files::delete(&context.at(paths::KEPT_DIR))
}

fn index(upgrade: &str, context: &Context) -> PathBuf {
    context.at(paths::KEPT_DIR).join(upgrade).join(INDEX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use slipway_api::protocol::Attachment;

    use super::*;

    fn context(root: &Path) -> Context {
        let events = tokio::sync::mpsc::unbounded_channel().0;
        Context::new(root, events, Attachment::default())
    }

    #[test]
    fn a_node_comes_back_to_what_it_was_before_the_first_attempt() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let (manifest, key, new) = ("/etc/m.yaml", "/etc/apiserver.key", "/etc/new.conf");
        let write = |path: &str, mode, text: &str| {
            files::write(&context.at(path), mode, text.as_bytes()).unwrap();
        };
        write(manifest, 0o644, "old");
        write(key, 0o600, "secret");
        let keep = KeepNode {
            upgrade: "one".to_owned(),
            paths: [manifest, key, new].map(str::to_owned).to_vec(),
        };
        let back = PutNodeBack {
            upgrade: "one".to_owned(),
        };
        assert_eq!(check_put_back(&back, &context).unwrap(), Check::Satisfied);
        apply_kept(&keep, &context).unwrap();
        assert_eq!(check_kept(&keep, &context).unwrap(), Check::Satisfied);

        write(manifest, 0o600, "new");
        write(new, 0o644, "new");
        std::fs::remove_file(context.at(key)).unwrap();
        assert_ne!(check_put_back(&back, &context).unwrap(), Check::Satisfied);
        apply_put_back(&back, &context).unwrap();
        assert_eq!(check_put_back(&back, &context).unwrap(), Check::Satisfied);
        assert_eq!(
            std::fs::read_to_string(context.at(manifest)).unwrap(),
            "old"
        );
        assert_eq!(
            files::difference(&context.at(key), Sha256Digest::of("secret"), 0o600).unwrap(),
            None
        );
        assert!(!context.at(new).exists());

        apply_forgotten(&context).unwrap();
        assert_eq!(check_forgotten(&context).unwrap(), Check::Satisfied);
        assert_ne!(check_kept(&keep, &context).unwrap(), Check::Satisfied);
    }

    #[test]
    fn what_is_kept_is_closed_to_others_and_never_half_there() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        files::write(&context.at("/etc/key"), 0o644, b"k").unwrap();
        let keep = KeepNode {
            upgrade: "one".to_owned(),
            paths: vec!["/etc/key".to_owned()],
        };
        // A run that was killed while it copied.
        let draft = context.at(paths::KEPT_DIR).join(".one");
        files::make_private_dir(&draft).unwrap();
        assert_ne!(check_kept(&keep, &context).unwrap(), Check::Satisfied);
        apply_kept(&keep, &context).unwrap();
        let folder = context.at(paths::KEPT_DIR);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("one/0000")), 0o600);
        assert!(!draft.exists());
    }
}
