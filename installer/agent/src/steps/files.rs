//! Files and folders: made, written, installed, unpacked, fetched.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use slipway_api::step::{
    EnsureDirectory, FetchFile, InstallBlob, InstallSlipway, StageBlobs, UnpackArchive, WriteFile,
};
use slipway_api::{ArchiveMember, Check, Sha256Digest, paths};

use super::needed;
use crate::context::Context;
use crate::same_manifest::is_same_manifest;
use crate::{AgentError, files};

/// The mode of executables.
const EXECUTABLE: u32 = 0o755;
/// The mode of files that anyone may read.
const READABLE: u32 = 0o644;

pub(super) fn check_directory(
    step: &EnsureDirectory,
    context: &Context,
) -> Result<Check, AgentError> {
    let because = match std::fs::metadata(context.at(&step.path)) {
        Ok(found) if !found.is_dir() => Some("it is not a folder".to_owned()),
        Ok(found) if found.mode() & 0o7777 != step.mode => Some(format!(
            "its mode is {:04o}, not {:04o}",
            found.mode() & 0o7777,
            step.mode
        )),
        Ok(_) => None,
        Err(_) => Some("it is not there".to_owned()),
    };
    Ok(needed(because))
}

pub(super) fn apply_directory(step: &EnsureDirectory, context: &Context) -> Result<(), AgentError> {
    let path = context.at(&step.path);
    files::make_dir(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(step.mode))
        .map_err(AgentError::file("set the mode of", &path))
}

pub(super) fn check_file(step: &WriteFile, context: &Context) -> Result<Check, AgentError> {
    let path = context.at(&step.path);
    // kubeadm's manifest of an adopted node is as good as ours where it says the same.
    let mut digest = Sha256Digest::of(&step.content);
    if step.path.starts_with(paths::MANIFESTS_DIR)
        && let Ok(found) = std::fs::read_to_string(&path)
        && is_same_manifest(&found, &step.content)
    {
        digest = Sha256Digest::of(&found);
    }
    Ok(needed(files::difference(&path, digest, step.mode)?))
}

pub(super) fn apply_file(step: &WriteFile, context: &Context) -> Result<(), AgentError> {
    files::write(&context.at(&step.path), step.mode, step.content.as_bytes())
}

pub(super) fn check_blob(step: &InstallBlob, context: &Context) -> Result<Check, AgentError> {
    let path = context.at(&step.path);
    Ok(needed(files::difference(
        &path,
        step.blob.sha256,
        EXECUTABLE,
    )?))
}

pub(super) fn apply_blob(step: &InstallBlob, context: &Context) -> Result<(), AgentError> {
    let source = context.blob(&step.blob)?;
    let mut reader = std::fs::File::open(&source).map_err(AgentError::file("read", &source))?;
    let target = context.at(&step.path);
    let written = files::write_from(&target, EXECUTABLE, &mut reader, Some(step.blob.sha256));
    forget_damaged(written, &source)
}

pub(super) fn check_staged(step: &StageBlobs, context: &Context) -> Check {
    let missing = step.blobs.iter().zip(&step.names);
    let missing = missing.filter(|(blob, _)| !context.blob_path(blob).exists());
    let names: Vec<&str> = missing.map(|(_, name)| name.as_str()).collect();
    needed((!names.is_empty()).then(|| format!("{} not here yet", names.join(", "))))
}

/// The program that this agent runs, whatever has become of its file.
const OWN_PROGRAM: &str = "/proc/self/exe";

pub(super) fn check_slipway(step: &InstallSlipway, context: &Context) -> Result<Check, AgentError> {
    let own = files::digest(Path::new(OWN_PROGRAM))?;
    let own = own.ok_or_else(|| {
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        AgentError::file("read", Path::new(OWN_PROGRAM))(gone)
    })?;
    let path = context.at(&step.path);
    Ok(needed(files::difference(&path, own, EXECUTABLE)?))
}

pub(super) fn apply_slipway(step: &InstallSlipway, context: &Context) -> Result<(), AgentError> {
    let source = Path::new(OWN_PROGRAM);
    let mut reader = std::fs::File::open(source).map_err(AgentError::file("read", source))?;
    files::write_from(&context.at(&step.path), EXECUTABLE, &mut reader, None)
}

pub(super) fn check_archive(step: &UnpackArchive, context: &Context) -> Result<Check, AgentError> {
    for member in &step.members {
        let Some(path) = member_path(step, member, context) else {
            continue;
        };
        if let Some(because) = files::difference(&path, member.sha256, member.mode & 0o777)? {
            return Ok(needed(Some(format!("{}: {because}", member.path))));
        }
    }
    Ok(Check::Satisfied)
}

pub(super) fn apply_archive(step: &UnpackArchive, context: &Context) -> Result<(), AgentError> {
    let source = context.blob(&step.blob)?;
    let cannot_read = |error| AgentError::File {
        doing: "unpack",
        path: source.clone(),
        source: error,
    };
    let file = std::fs::File::open(&source).map_err(cannot_read)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut wanted: BTreeMap<&str, &ArchiveMember> = step
        .members
        .iter()
        .map(|member| (member.path.as_str(), member))
        .collect();
    for entry in archive.entries().map_err(cannot_read)? {
        let mut entry = entry.map_err(cannot_read)?;
        let path = entry
            .path()
            .map_err(cannot_read)?
            .to_string_lossy()
            .into_owned();
        let Some(member) = wanted.remove(path.trim_start_matches("./")) else {
            continue;
        };
        if let Some(target) = member_path(step, member, context) {
            let reader: &mut dyn Read = &mut entry;
            let mode = member.mode & 0o777;
            let written = files::write_from(&target, mode, reader, Some(member.sha256));
            forget_damaged(written, &source)?;
        }
    }
    match wanted.keys().next() {
        Some(path) => Err(AgentError::Blocked {
            message: format!("{} {} has no member {path}", step.name, step.version),
            help: "the bundle's list and its archive differ: `slipway bundle verify FILE`"
                .to_owned(),
        }),
        None => Ok(()),
    }
}

/// Deletes a blob that turned out to be damaged, so that the next run brings it again.
fn forget_damaged(written: Result<(), AgentError>, blob: &Path) -> Result<(), AgentError> {
    if let Err(AgentError::WrongBlob { .. }) = &written {
        let _ = std::fs::remove_file(blob);
    }
    written
}

/// Returns where a member goes; none where stripping leaves nothing of its path.
fn member_path(step: &UnpackArchive, member: &ArchiveMember, context: &Context) -> Option<PathBuf> {
    let parts: PathBuf = Path::new(&member.path)
        .components()
        // Only plain names: a member must not lead out of the folder.
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .skip(step.strip)
        .collect();
    (!parts.as_os_str().is_empty()).then(|| context.at(&step.folder).join(parts))
}

pub(super) fn check_fetch(step: &FetchFile, context: &Context) -> Result<Check, AgentError> {
    let path = context.at(step.file.path());
    let because = match (step.sha256, &context.attachment.text) {
        (Some(sha256), _) => files::difference(&path, sha256, READABLE)?,
        (None, Some(text)) => files::difference(&path, Sha256Digest::of(text), READABLE)?,
        (None, None) => Some(format!("{} has not made it yet", step.from)),
    };
    Ok(needed(because))
}

pub(super) fn apply_fetch(step: &FetchFile, context: &Context) -> Result<(), AgentError> {
    let text = context.attachment.text.as_deref().ok_or_else(|| {
        AgentError::BadRequest(format!(
            "the text of {} is missing from the request",
            step.file.path()
        ))
    })?;
    files::write(&context.at(step.file.path()), READABLE, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;
    use tokio::sync::mpsc::unbounded_channel;

    fn context(root: &Path) -> Context {
        Context::new(root, unbounded_channel().0, Attachment::default())
    }

    #[test]
    fn writing_twice_changes_nothing_the_second_time() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let step = WriteFile::new(
            "/etc/kubernetes/manifests/etcd.yaml",
            0o600,
            "kind: Pod\n".into(),
        );
        assert!(matches!(
            check_file(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_file(&step, &context).unwrap();
        assert_eq!(check_file(&step, &context).unwrap(), Check::Satisfied);
    }

    #[test]
    fn a_manifest_that_says_the_same_stays_as_it_is_but_for_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let write = |path: &str, text: &str| WriteFile::new(path, 0o600, text.into());
        let (ours, theirs) = ("{ kind: Pod }\n", "kind: Pod\nstatus: {}\n");
        let manifest = "/etc/kubernetes/manifests/etcd.yaml";
        apply_file(&write(manifest, theirs), &context).unwrap();
        let step = write(manifest, ours);
        assert_eq!(check_file(&step, &context).unwrap(), Check::Satisfied);
        let readable = WriteFile {
            mode: 0o644,
            ..step
        };
        assert_ne!(check_file(&readable, &context).unwrap(), Check::Satisfied);
        // Elsewhere bytes count.
        apply_file(&write("/etc/cni/conf.yaml", theirs), &context).unwrap();
        let step = write("/etc/cni/conf.yaml", ours);
        assert_ne!(check_file(&step, &context).unwrap(), Check::Satisfied);
    }

    #[test]
    fn a_member_that_points_outside_stays_inside() {
        let root = tempfile::tempdir().unwrap();
        let member = ArchiveMember {
            path: "../../etc/passwd".into(),
            mode: 0o644,
            sha256: Sha256Digest::of(""),
            size: 0,
        };
        let step = UnpackArchive {
            name: "x".into(),
            version: "1".into(),
            blob: slipway_api::Blob {
                sha256: Sha256Digest::of(""),
                size: 0,
            },
            folder: "/opt/cni/bin".into(),
            strip: 0,
            members: vec![],
        };
        let path = member_path(&step, &member, &context(root.path())).unwrap();
        assert_eq!(path, root.path().join("opt/cni/bin/etc/passwd"));
    }
}
