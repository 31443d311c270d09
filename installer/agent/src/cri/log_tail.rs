//! The last lines that a container said, for error reports.

use std::io::ErrorKind;
use std::path::Path;

use k8s_cri::v1 as api;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::client::call;
use super::{ContainerState, CriClient, CriError};

/// How much of a log's end is looked at.
const TAIL_BYTES: u64 = 64 << 10;

/// What a container said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTail {
    /// What the container does or why it ended, for example `exited with code 1 (Error)`.
    pub state: String,
    /// Its last lines, oldest first.
    pub lines: Vec<String>,
}

impl CriClient {
    /// Returns the last `lines` lines of a control-plane component such as
    /// `kube-apiserver`: of its newest container in `kube-system`, also one
    /// that ended; none if there is no such container.
    ///
    /// # Errors
    /// The runtime does not answer, or the log is unreadable.
    pub async fn container_logs_tail(
        &self,
        component: &str,
        lines: usize,
    ) -> Result<Option<LogTail>, CriError> {
        let containers = self.component_containers(component).await?;
        let newest = containers.into_iter().max_by_key(|c| c.created_at);
        let Some(newest) = newest else {
            return Ok(None);
        };
        let request = api::ContainerStatusRequest {
            container_id: newest.id,
            verbose: false,
        };
        let mut runtime = self.runtime();
        let doing = format!("ask for the status of container {component}");
        let status = call(&doing, runtime.container_status(request)).await?;
        let status = status.status.unwrap_or_default();
        let state = describe(newest.state, &status);
        let lines = read_tail(Path::new(&status.log_path), lines).await?;
        Ok(Some(LogTail { state, lines }))
    }
}

fn describe(state: ContainerState, status: &api::ContainerStatus) -> String {
    match state {
        ContainerState::Created => "created and not started".to_owned(),
        ContainerState::Running => "running".to_owned(),
        ContainerState::Exited => {
            let parts = [&status.reason, &status.message];
            let parts: Vec<&str> = parts
                .into_iter()
                .map(String::as_str)
                .filter(|part| !part.is_empty())
                .collect();
            format!(
                "exited with code {} ({})",
                status.exit_code,
                parts.join(": ")
            )
        }
        ContainerState::Unknown => "in a state that the runtime does not know".to_owned(),
    }
}

/// Returns the last lines of a log in CRI's format; a log that is not there is empty.
async fn read_tail(path: &Path, lines: usize) -> Result<Vec<String>, CriError> {
    let unreadable = |source| CriError::ReadLog {
        path: path.display().to_string(),
        source,
    };
    let mut file = match tokio::fs::File::open(path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(unreadable)?,
    };
    let size = file.metadata().await.map_err(unreadable)?.len();
    let start = size.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))
        .await
        .map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut tail = file.take(TAIL_BYTES);
    tail.read_to_end(&mut bytes).await.map_err(unreadable)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line is cut off unless the log begins there.
    let text = match text.split_once('\n') {
        Some((_, rest)) if start > 0 => rest,
        _ => text.as_ref(),
    };
    let said = said_lines(text);
    Ok(said[said.len().saturating_sub(lines)..].to_vec())
}

/// Returns what was said in lines of CRI's log format: `<time> <stream> <tag>
/// <text>`, where the tag `P` marks a part that the next line continues.
fn said_lines(log: &str) -> Vec<String> {
    let mut said = Vec::new();
    let mut pending = String::new();
    for line in log.lines() {
        let mut fields = line.splitn(4, ' ').skip(2);
        let (tag, text) = (fields.next(), fields.next().unwrap_or_default());
        pending += text;
        if !tag.is_some_and(|tag| tag.starts_with('P')) {
            said.push(std::mem::take(&mut pending));
        }
    }
    if !pending.is_empty() {
        said.push(pending);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_lines_are_joined() {
        let log = "2026-11-21T09:00:00.1Z stderr P I1121 started\n\
                   2026-11-21T09:00:00.2Z stderr F  with etcd\n\
                   2026-11-21T09:00:01.0Z stdout F \n\
                   2026-11-21T09:00:02.0Z stderr F F1121 failed\n";
        assert_eq!(
            said_lines(log),
            ["I1121 started with etcd", "", "F1121 failed"]
        );
    }

    #[tokio::test]
    async fn only_the_end_of_a_long_log_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = (0..5_000)
            .map(|i| format!("2026-11-21T09:00:00Z stderr F line {i}"))
            .collect();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        let tail = read_tail(file.path(), 2).await.unwrap();
        assert_eq!(tail, ["line 4998", "line 4999"]);
        let missing = read_tail(Path::new("/nonexistent/log"), 2).await.unwrap();
        assert!(missing.is_empty());
    }
}
