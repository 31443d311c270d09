//! News of a transfer, for progress displays.

use std::sync::Arc;

/// How far one named transfer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What is moved, for example `kubelet v1.36.3 (amd64)`; equal names are one transfer.
    pub name: String,
    /// The bytes done so far, those of an earlier attempt included.
    pub done: u64,
    /// The bytes in all, where known.
    pub total: Option<u64>,
}

/// Receives the news; called often and from several tasks, so it must not block.
pub type TransferSink = Arc<dyn Fn(Transfer) + Send + Sync>;
