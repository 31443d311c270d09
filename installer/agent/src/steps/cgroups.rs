//! Control groups that pods left.
//!
//! systemd removes those it knows; on cgroup v1 the container runtime makes
//! them in every hierarchy, and those that systemd does not look after stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_api::Check;
use slipway_api::step::RemoveCgroups;

use super::needed;
use crate::AgentError;
use crate::context::Context;

/// How often a removal is tried again.
const TRIES: u32 = 25;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the hierarchies are mounted: cgroup v2 here, v1 one folder down.
const HIERARCHIES: &str = "/sys/fs/cgroup";

pub(super) fn check_cgroups(step: &RemoveCgroups, context: &Context) -> Result<Check, AgentError> {
    let found = present(step, context).len();
    Ok(needed(
        (found > 0).then(|| format!("they are in {found} hierarchies")),
    ))
}

pub(super) async fn apply_cgroups(
    step: &RemoveCgroups,
    context: &Context,
) -> Result<(), AgentError> {
    for group in present(step, context) {
        let mut tries = TRIES;
        // A group is busy for a moment after its last process has ended.
        while let Err(error) = remove(&group) {
            if tries == 0 {
                return Err(error);
            }
            tries -= 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

fn present(step: &RemoveCgroups, context: &Context) -> Vec<PathBuf> {
    let top = context.at(HIERARCHIES);
    let mut hierarchies = vec![top.clone()];
    hierarchies.extend(folders(&top));
    let groups = hierarchies
        .iter()
        .flat_map(|hierarchy| step.names.iter().map(|name| hierarchy.join(name)));
    let mut real: Vec<PathBuf> = groups
        .filter_map(|group| group.canonicalize().ok())
        .collect();
    // `cpu` and `cpuacct` are often links to one hierarchy.
    real.sort();
    real.dedup();
    real
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Removes a group after those inside it; the kernel refuses one with processes.
fn remove(group: &Path) -> Result<(), AgentError> {
    for inner in folders(group) {
        remove(&inner)?;
    }
    match std::fs::remove_dir(group) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AgentError::file("delete", group)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;

    #[tokio::test]
    async fn groups_go_from_every_hierarchy_and_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let events = tokio::sync::mpsc::unbounded_channel().0;
        let context = Context::new(root.path(), events, Attachment::default());
        for name in [
            "cpuset/kubepods.slice/pod1/container",
            "pids/kubepods.slice",
            "pids/user.slice",
        ] {
            std::fs::create_dir_all(context.at(HIERARCHIES).join(name)).unwrap();
        }
        let step = RemoveCgroups {
            names: vec!["kubepods.slice".to_owned(), "kubepods".to_owned()],
        };
        assert!(matches!(
            check_cgroups(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_cgroups(&step, &context).await.unwrap();
        assert_eq!(check_cgroups(&step, &context).unwrap(), Check::Satisfied);
        assert!(context.at("/sys/fs/cgroup/pids/user.slice").exists());
    }
}
