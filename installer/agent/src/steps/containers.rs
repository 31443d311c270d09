//! Containers whose runtime does not look after them any more.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slipway_api::Check;
use slipway_api::step::EndContainers;

use super::needed;
use crate::AgentError;
use crate::context::Context;
use crate::processes::{Runtime, container_processes};

/// How long the kernel may take to end a process.
const LIMIT: Duration = Duration::from_secs(15);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How many processes an error names.
const NAMED: usize = 5;

pub(super) fn check_containers(
    step: &EndContainers,
    context: &Context,
) -> Result<Check, AgentError> {
    Ok(needed(running(everything(step), context)))
}

pub(super) async fn apply_containers(
    step: &EndContainers,
    context: &Context,
) -> Result<(), AgentError> {
    end(everything(step), context).await
}

fn everything(step: &EndContainers) -> Runtime<'_> {
    Runtime {
        socket: &step.socket,
        namespace: None,
    }
}

/// Says how many processes of containers run; none where none does.
pub(super) fn running(runtime: Runtime<'_>, context: &Context) -> Option<String> {
    let count = container_processes(&context.at("/proc"), runtime).len();
    (count > 0).then(|| format!("{count} processes of containers run"))
}

/// Ends the processes of containers, at once and without grace.
pub(super) async fn end(runtime: Runtime<'_>, context: &Context) -> Result<(), AgentError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = container_processes(&context.at("/proc"), runtime);
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let names = found.iter().take(NAMED);
            let names: Vec<_> = names.map(|it| format!("{} ({})", it.id, it.name)).collect();
            return Err(AgentError::Blocked {
                message: format!(
                    "{} processes of containers do not end: {}",
                    found.len(),
                    names.join(", ")
                ),
                help: "they wait for the kernel, often for a file server that is gone: reboot the host, then run the same command again".to_owned(),
            });
        }
        for process in &found {
            if let Some(id) = Pid::from_raw(process.id) {
                // One that ended meanwhile is as good.
                let _ = kill_process(id, Signal::KILL);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;
    use std::os::unix::fs::symlink;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    /// A shell that looks like containerd's helper, and what it started.
    struct Helper(Child);

    impl Drop for Helper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[tokio::test]
    async fn a_helper_without_its_runtime_is_ended_with_its_container() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("containerd.sock");
        let socket = socket.to_str().unwrap().to_owned();
        let helper = Command::new("sh")
            .arg0("/usr/local/bin/containerd-shim-runc-v2")
            .args([
                "-c",
                "sleep 1000 & wait",
                "-namespace",
                "k8s.io",
                "-address",
                &socket,
            ])
            .spawn()
            .unwrap();
        let helper = Helper(helper);
        let id = helper.0.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let child = loop {
            let found = std::fs::read_to_string(&children).unwrap();
            if let Some(child) = found.split_whitespace().next() {
                break child.to_owned();
            }
            tokio::time::sleep(PAUSE).await;
        };
        // Only these two are seen: this machine may have pods of its own.
        std::fs::create_dir(root.path().join("proc")).unwrap();
        for name in [id.to_string(), child.clone(), "self".to_owned()] {
            symlink(
                format!("/proc/{name}"),
                root.path().join("proc").join(&name),
            )
            .unwrap();
        }
        let events = tokio::sync::mpsc::unbounded_channel().0;
        let context = Context::new(root.path(), events, Attachment::default());
        let step = EndContainers { socket };
        assert!(matches!(
            check_containers(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_containers(&step, &context).await.unwrap();
        assert_eq!(check_containers(&step, &context).unwrap(), Check::Satisfied);
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
}
