//! A host as the engine sees it.

use std::pin::Pin;

use async_trait::async_trait;
use slipway_api::protocol::{Reply, Request, StepEvent};
use slipway_api::{Blob, EtcdSnapshotSummary, HostName};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::HostError;

/// Receives what a request tells while it runs; it must not block.
pub type EventSink<'a> = &'a (dyn Fn(StepEvent) + Send + Sync);

/// Receives how many bytes of a blob are sent; it must not block.
pub type ProgressSink<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// The bytes of a blob.
pub type BlobReader = Pin<Box<dyn AsyncRead + Send>>;

/// A host with an agent on it; requests may be made concurrently.
///
/// Dropping the future of a request forgets its answer; the agent still finishes what it began.
#[async_trait]
pub trait Host: Send + Sync {
    /// Returns the host's name in the cluster file.
    fn name(&self) -> &HostName;

    /// Asks the agent and waits for its reply; `on_event` hears what happens meanwhile.
    ///
    /// # Errors
    /// [`HostError::Failed`] if the agent says so; [`HostError::ConnectionLost`] if nothing is
    /// known of what became of the request; [`HostError::Hangs`] if neither event nor reply has
    /// come for longer than such a request may take.
    async fn request(&self, request: Request, on_event: EventSink<'_>) -> Result<Reply, HostError>;

    /// Sends a blob into the host's store, which checks its digest.
    async fn upload(
        &self,
        blob: &Blob,
        content: BlobReader,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError>;

    /// Returns once nothing can be asked of the host any more, and says why; it may be noticed
    /// up to a minute after it happened.
    async fn lost(&self) -> HostError;

    /// Lets the host take a snapshot of its etcd and writes it to `sink`; `on_progress` hears how
    /// many bytes have come and how many there are.
    ///
    /// # Errors
    /// [`HostError::Failed`] if etcd gives none or it is damaged, [`HostError::SinkUnwritable`]
    /// if it cannot be written here; what has been written is then of no use.
    async fn receive_snapshot(
        &self,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        on_progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<EtcdSnapshotSummary, HostError>;

    /// Says good-bye; requests in flight are lost.
    async fn close(&self);
}
