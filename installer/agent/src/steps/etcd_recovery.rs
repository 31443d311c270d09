//! A member that outlived a quorum, made a cluster of one that keeps its data; and the data of
//! those that must not go on, moved aside.
//!
//! The manifest that lies aside is the one without the flag, whatever is cut off when: a member
//! that starts with `--force-new-cluster` again would throw out those that have joined since.
//! Source: etcd's `--force-new-cluster`, `server/etcdserver/bootstrap.go`: entries that were not
//! committed are dropped, and every other member is removed by an entry of the log.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use slipway_api::step::{HoldStaticPods, RecoverEtcd, SetEtcdAside};
use slipway_api::{Check, Failure, paths};

use super::held_pods::{apply_held, check_held};
use super::needed;
use super::wait_for::component_logs;
use crate::context::Context;
use crate::etcd::EtcdClient;
use crate::{AgentError, files};

/// The flag that makes a member a cluster of its own.
const FLAG: &str = "--force-new-cluster=true";

/// What etcd keeps in its data folder.
const MEMBER: &str = "member";

/// The static Pod.
const ETCD: &str = "etcd";

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn check_aside(step: &SetEtcdAside, context: &Context) -> Result<Check, AgentError> {
    let member = context.at(&step.data_dir).join(MEMBER);
    let because = "its data would make a second cluster of the old one";
    Ok(needed(member.exists().then_some(because)))
}

pub(super) fn apply_aside(step: &SetEtcdAside, context: &Context) -> Result<(), AgentError> {
    let data = context.at(&step.data_dir);
    let aside = before(&data, &step.recovery);
    files::make_private_dir(&aside)?;
    let (from, to) = (data.join(MEMBER), aside.join(MEMBER));
    std::fs::rename(&from, &to).map_err(AgentError::file("move", &from))
}

pub(super) fn check_recovered(step: &RecoverEtcd, context: &Context) -> Result<Check, AgentError> {
    let marker = files::read_text(&context.at(paths::RECOVERED_MARKER))?;
    if marker.is_none_or(|text| text.trim() != step.recovery) {
        return Ok(needed(Some("its cluster has no quorum")));
    }
    let is_forced = is_forced(&manifest(context))? || is_forced(&held(context))?;
    Ok(needed(is_forced.then_some("it still has the flag")))
}

pub(super) async fn apply_recovered(
    step: &RecoverEtcd,
    context: &Context,
) -> Result<(), AgentError> {
    let hold = HoldStaticPods {
        names: vec![ETCD.to_owned()],
        socket: step.socket.clone(),
        timeout_seconds: step.timeout_seconds,
    };
    // One that was started with the flag before a cut stops first.
    if let Check::Needed { .. } = check_held(&hold, context).await? {
        apply_held(&hold, context).await?;
    }
    let text = files::read_text(&held(context))?.ok_or_else(|| AgentError::Blocked {
        message: format!("there is no manifest of etcd in {}", paths::HELD_DIR),
        help: format!(
            "put etcd's manifest back as {}/etcd.yaml, then run the same command again",
            paths::MANIFESTS_DIR
        ),
    })?;
    let plain = without_flag(&text);
    if plain != text {
        files::write(&held(context), 0o600, plain.as_bytes())?;
    }
    let forced = with_flag(&plain).ok_or_else(|| AgentError::Blocked {
        message: "etcd's manifest does not start etcd with `- etcd` in its command".to_owned(),
        help: format!(
            "look at {}/etcd.yaml: kubeadm's form is needed",
            paths::HELD_DIR
        ),
    })?;
    keep_copy(step, context)?;
    context.log("starting etcd as a cluster of its own".to_owned());
    files::write(&manifest(context), 0o600, forced.as_bytes())?;
    let alone = wait_until_alone(step, context).await;
    // Whatever came of it, nothing starts with the flag again.
    let deleted = std::fs::remove_file(manifest(context));
    deleted.map_err(AgentError::file("delete", &manifest(context)))?;
    alone?;
    apply_held(&hold, context).await?;
    let marker = format!("{}\n", step.recovery);
    files::write(
        &context.at(paths::RECOVERED_MARKER),
        0o600,
        marker.as_bytes(),
    )
}

/// Waits until the member serves reads that take a quorum, and is the only one.
async fn wait_until_alone(step: &RecoverEtcd, context: &Context) -> Result<(), AgentError> {
    let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
    loop {
        let asked = async {
            let client = EtcdClient::local(&context.at("/")).await?;
            client.agreed_members().await
        };
        let seen = match asked.await {
            Ok(members) if members.len() == 1 => return Ok(()),
            Ok(members) => format!("it has {} members", members.len()),
            Err(error) => Failure::of(&error).to_string(),
        };
        if Instant::now() >= deadline {
            return Err(AgentError::TimedOut {
                condition: "etcd is a cluster of one member".to_owned(),
                seconds: step.timeout_seconds,
                seen,
                log_tail: component_logs(&step.socket, &[ETCD]).await,
                help: format!(
                    "its data from before is in {}: run the same command again, or with `--host` on another survivor; \
                     without one that starts, `slipway etcd restore` makes etcd anew from a snapshot",
                    before(Path::new(&step.data_dir), &step.recovery).display()
                ),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Copies the data beside itself, once: what is there later is not as it was.
fn keep_copy(step: &RecoverEtcd, context: &Context) -> Result<(), AgentError> {
    let data = context.at(&step.data_dir);
    let kept = before(&data, &step.recovery).join(MEMBER);
    if kept.exists() {
        return Ok(());
    }
    let begun = data.join(format!("copying-{}", step.recovery));
    files::delete(&begun)?;
    let copied = copy_folder(&data.join(MEMBER), &begun);
    if copied.is_err() {
        let _ = std::fs::remove_dir_all(&begun);
    }
    copied?;
    files::make_private_dir(&before(&data, &step.recovery))?;
    std::fs::rename(&begun, &kept).map_err(AgentError::file("move", &begun))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), AgentError> {
    files::make_private_dir(to)?;
    let entries = std::fs::read_dir(from).map_err(AgentError::file("read", from))?;
    for entry in entries {
        let path = entry.map_err(AgentError::file("read", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
            continue;
        }
        let copied = std::fs::copy(&path, &target).and_then(|_| {
            let file = std::fs::File::open(&target)?;
            file.sync_all()
        });
        copied.map_err(AgentError::file("copy", &path))?;
    }
    Ok(())
}

fn before(data: &Path, recovery: &str) -> PathBuf {
    data.join(format!("before-{recovery}"))
}

/// Returns a manifest with the flag; none where etcd's command is not found.
fn with_flag(manifest: &str) -> Option<String> {
    let mut is_added = false;
    let mut text = String::new();
    for line in manifest.lines() {
        text.push_str(line);
        text.push('\n');
        if !is_added && line.trim() == "- etcd" {
            let indent = &line[..line.len() - line.trim_start().len()];
            text.push_str(&format!("{indent}- {FLAG}\n"));
            is_added = true;
        }
    }
    is_added.then_some(text)
}

fn without_flag(manifest: &str) -> String {
    let is_other = |line: &&str| line.trim() != format!("- {FLAG}");
    let lines = manifest.split_inclusive('\n').filter(is_other);
    lines.collect()
}

fn is_forced(path: &Path) -> Result<bool, AgentError> {
    let text = files::read_text(path)?;
    Ok(text.is_some_and(|text| without_flag(&text) != text))
}

fn manifest(context: &Context) -> PathBuf {
    context.at(&format!("{}/{ETCD}.yaml", paths::MANIFESTS_DIR))
}

fn held(context: &Context) -> PathBuf {
    context.at(&format!("{}/{ETCD}.yaml", paths::HELD_DIR))
}

#[cfg(test)]
mod tests {
    use slipway_api::protocol::Attachment;
    use tokio::sync::mpsc;

    use super::*;

    const MANIFEST: &str = "spec:\n  containers:\n  - command:\n    - etcd\n    - --data-dir=/var/lib/etcd\n    - --name=cp-1\n    image: registry.k8s.io/etcd:3.6.8-0\n    name: etcd\n";

    fn context(root: &Path) -> Context {
        Context::new(root, mpsc::unbounded_channel().0, Attachment::default())
    }

    fn recovery() -> RecoverEtcd {
        RecoverEtcd {
            recovery: "run-1".to_owned(),
            member: "cp-1".to_owned(),
            data_dir: "/var/lib/etcd".to_owned(),
            socket: String::new(),
            timeout_seconds: 1,
        }
    }

    fn fill(context: &Context, content: &str) {
        for file in ["snap/db", "wal/0.wal"] {
            let path = context.at("/var/lib/etcd/member").join(file);
            files::write(&path, 0o600, content.as_bytes()).unwrap();
        }
    }

    #[test]
    fn the_flag_comes_and_goes_and_nothing_else_changes() {
        let forced = with_flag(MANIFEST).unwrap();
        assert!(forced.contains("    - etcd\n    - --force-new-cluster=true\n    - --data-dir"));
        assert_eq!(without_flag(&forced), MANIFEST);
        assert_eq!(without_flag(MANIFEST), MANIFEST);
        assert_eq!(with_flag("command: [etcd]\n"), None);
    }

    #[test]
    fn the_copy_is_of_the_data_as_it_was_however_often_it_is_cut_off() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        fill(&context, "as it was");
        // Left by an attempt that was cut off.
        files::write(
            &context.at("/var/lib/etcd/copying-run-1/snap/db"),
            0o600,
            b"half",
        )
        .unwrap();
        keep_copy(&recovery(), &context).unwrap();
        fill(&context, "a cluster of one");
        keep_copy(&recovery(), &context).unwrap();
        for file in ["snap/db", "wal/0.wal"] {
            let kept = context.at("/var/lib/etcd/before-run-1/member").join(file);
            assert_eq!(std::fs::read_to_string(kept).unwrap(), "as it was");
        }
        assert!(!context.at("/var/lib/etcd/copying-run-1").exists());
        assert!(context.at("/var/lib/etcd/member/wal/0.wal").exists());
    }

    #[test]
    fn a_flag_that_a_cut_left_behind_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let check = || check_recovered(&recovery(), &context).unwrap();
        assert_ne!(check(), Check::Satisfied);
        files::write(&context.at(paths::RECOVERED_MARKER), 0o600, b"run-1\n").unwrap();
        assert_eq!(check(), Check::Satisfied);
        let forced = with_flag(MANIFEST).unwrap();
        files::write(&held(&context), 0o600, forced.as_bytes()).unwrap();
        assert_ne!(check(), Check::Satisfied);
    }

    #[test]
    fn data_that_must_not_go_on_is_kept_aside() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let step = SetEtcdAside {
            recovery: "run-1".to_owned(),
            data_dir: "/var/lib/etcd".to_owned(),
        };
        assert_eq!(check_aside(&step, &context).unwrap(), Check::Satisfied);
        fill(&context, "old");
        assert_ne!(check_aside(&step, &context).unwrap(), Check::Satisfied);
        apply_aside(&step, &context).unwrap();
        assert_eq!(check_aside(&step, &context).unwrap(), Check::Satisfied);
        assert!(
            context
                .at("/var/lib/etcd/before-run-1/member/snap/db")
                .exists()
        );
    }
}
