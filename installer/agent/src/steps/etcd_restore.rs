//! A member's data, made anew from a snapshot by etcd's own tool.

use std::path::Path;
use std::time::Duration;

use slipway_api::step::RestoreEtcd;
use slipway_api::{Check, paths};

use super::needed;
use crate::command::run_within;
use crate::context::Context;
use crate::etcd::SnapshotFile;
use crate::{AgentError, files};

/// How long writing a database anew may take: it can be eight gigabytes on a slow disk.
const LIMIT: Duration = Duration::from_secs(600);

/// How far the restored cluster is ahead of anything that anybody saw of the old one: whoever
/// watches is told that what it knew is gone, and reads everything again.
/// Source: etcd's own advice for Kubernetes, a billion.
const BUMP_REVISION: &str = "1000000000";

/// What etcd keeps in its data folder.
const MEMBER: &str = "member";

pub(super) fn check_restored(step: &RestoreEtcd, context: &Context) -> Result<Check, AgentError> {
    let marker = files::read_text(&context.at(paths::RESTORED_MARKER))?;
    let is_done = marker.is_some_and(|text| text.trim() == step.restore);
    let because = || format!("etcd is to be as it was at revision {}", step.revision);
    Ok(needed((!is_done).then(because)))
}

pub(super) async fn apply_restored(
    step: &RestoreEtcd,
    context: &Context,
) -> Result<(), AgentError> {
    let blob = context.blob(&step.snapshot)?;
    let found = SnapshotFile::read(&blob).map_err(|error| AgentError::Blocked {
        message: error.to_string(),
        help: "take another snapshot; etcd's data on this host is untouched".to_owned(),
    })?;
    if found.revision != step.revision {
        return Err(AgentError::BadRequest(format!(
            "the snapshot ends at revision {}, and the plan says {}",
            found.revision, step.revision
        )));
    }
    // All within the data folder, which may be a file system of its own.
    let data = context.at(&step.data_dir);
    let new = data.join(format!("restoring-{}", step.restore));
    let old = data.join(format!("before-{}", step.restore));
    files::make_private_dir(&data)?;
    files::delete(&new)?;
    context.log(format!("restoring revision {}", step.revision));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let initial_cluster = step.initial_cluster.join(",");
    let token = format!("slipway-{}", step.restore);
    let program = path(&context.at(&step.program));
    let arguments = [
        "snapshot",
        "restore",
        &path(&blob),
        "--name",
        &step.member,
        "--initial-cluster",
        &initial_cluster,
        "--initial-advertise-peer-urls",
        &step.peer_url,
        "--initial-cluster-token",
        &token,
        "--data-dir",
        &path(&new),
        "--bump-revision",
        BUMP_REVISION,
        "--mark-compacted",
    ];
    run_within(LIMIT, &program, &arguments).await?;
    swap(&data, &new, &old)?;
    files::write(
        &context.at(paths::RESTORED_MARKER),
        0o600,
        format!("{}\n", step.restore).as_bytes(),
    )?;
    // It holds every Secret, and nobody needs it here any more.
    std::fs::remove_file(&blob).map_err(AgentError::file("delete", &blob))?;
    files::delete(&context.at(paths::ETCDUTL_DIR))
}

/// Puts the new data into the old data's place, which is kept. Cut off at any point, it can be
/// done again with new data.
fn swap(data: &Path, new: &Path, old: &Path) -> Result<(), AgentError> {
    let (member, new_member, old_member) = (data.join(MEMBER), new.join(MEMBER), old.join(MEMBER));
    if member.exists() {
        if old_member.exists() {
            // What is there came from this restore, before it was cut off.
            files::delete(&member)?;
        } else {
            files::make_private_dir(old)?;
            rename(&member, &old_member)?;
        }
    }
    rename(&new_member, &member)?;
    files::delete(new)
}

fn rename(from: &Path, to: &Path) -> Result<(), AgentError> {
    std::fs::rename(from, to).map_err(AgentError::file("move", from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member_of(folder: &Path, content: &str) {
        std::fs::create_dir_all(folder.join(MEMBER)).unwrap();
        std::fs::write(folder.join(MEMBER).join("db"), content).unwrap();
    }

    fn content(folder: &Path) -> String {
        std::fs::read_to_string(folder.join(MEMBER).join("db")).unwrap()
    }

    #[test]
    fn the_old_data_is_kept_however_often_a_restore_is_cut_off() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path();
        let (new, old) = (data.join("restoring-1"), data.join("before-1"));
        member_of(data, "old");
        member_of(&new, "restored");
        swap(data, &new, &old).unwrap();
        assert_eq!(
            (content(data), content(&old)),
            ("restored".into(), "old".into())
        );
        // Cut off before the marker was written, or after the old data was moved.
        member_of(&new, "restored again");
        swap(data, &new, &old).unwrap();
        assert_eq!(
            (content(data), content(&old)),
            ("restored again".into(), "old".into())
        );
        std::fs::remove_dir_all(data.join(MEMBER)).unwrap();
        member_of(&new, "restored at last");
        swap(data, &new, &old).unwrap();
        assert_eq!(
            (content(data), content(&old)),
            ("restored at last".into(), "old".into())
        );
        assert!(!new.exists());
    }
}
