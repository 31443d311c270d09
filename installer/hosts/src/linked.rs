//! Hosts behind an agent, however it is reached.

use std::time::Duration;

use async_trait::async_trait;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{Blob, EtcdSnapshotSummary, HostName};
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use crate::HostError;
use crate::agent::AgentLink;
use crate::host::{BlobReader, EventSink, Host, ProgressSink};
use crate::ssh::SshConnection;

/// How long saying good-bye may take; a host that hangs must not hold up the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A host behind an agent.
pub(crate) trait Linked: Send + Sync {
    /// Returns the way to the agent.
    fn link(&self) -> &AgentLink;

    /// Returns the connection that the way leads over, if it leaves this machine.
    fn carrier(&self) -> Option<&SshConnection> {
        None
    }
}

#[async_trait]
impl<T: Linked> Host for T {
    fn name(&self) -> &HostName {
        self.link().name()
    }

    async fn request(&self, request: Request, on_event: EventSink<'_>) -> Result<Reply, HostError> {
        self.link().request(request, on_event).await
    }

    async fn upload(
        &self,
        blob: &Blob,
        content: BlobReader,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        self.link().upload(blob, content, on_progress).await
    }

    async fn lost(&self) -> HostError {
        self.link().lost().await
    }

    async fn receive_snapshot(
        &self,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        on_progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<EtcdSnapshotSummary, HostError> {
        self.link().receive_snapshot(sink, on_progress).await
    }

    async fn close(&self) {
        self.link().close();
        if let Some(connection) = self.carrier() {
            let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
        }
    }
}
