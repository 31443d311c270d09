//! What a step may use: the host's file tree, the blob store and a place to report to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use slipway_api::protocol::{Attachment, StepEvent};
use slipway_api::{Blob, paths};
use slipway_pki::BootstrapToken;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::AgentError;
use crate::blob_store::BlobStore;

/// What a step may use.
#[derive(Clone)]
pub(crate) struct Context {
    root: PathBuf,
    events: UnboundedSender<StepEvent>,
    /// The bootstrap token that was given for joining.
    token: Option<Arc<BootstrapToken>>,
    /// Becomes true when the channel ends that asked for the step.
    abandoned: Option<watch::Receiver<bool>>,
    /// What came with the request beside the step.
    pub attachment: Attachment,
}

impl Context {
    /// Returns the context of a step on the host whose file tree is at `root`.
    pub fn new(root: &Path, events: UnboundedSender<StepEvent>, attachment: Attachment) -> Self {
        Self {
            root: root.to_owned(),
            events,
            token: None,
            abandoned: None,
            attachment,
        }
    }

    /// Returns the same context with a bootstrap token.
    pub fn with_token(mut self, token: Option<Arc<BootstrapToken>>) -> Self {
        self.token = token;
        self
    }

    /// Returns the same context, for a step that nobody waits for once `abandoned` is true.
    pub fn until(mut self, abandoned: watch::Receiver<bool>) -> Self {
        self.abandoned = Some(abandoned);
        self
    }

    /// Returns once nobody waits for the step any more.
    pub async fn abandoned(&self) {
        match self.abandoned.clone() {
            Some(mut abandoned) => drop(abandoned.wait_for(|is_true| *is_true).await),
            None => std::future::pending().await,
        }
    }

    /// Returns the bootstrap token, if one was given. It must not leave this host
    /// but to the cluster that it is for.
    pub fn token(&self) -> Option<&BootstrapToken> {
        self.token.as_deref()
    }

    /// Returns where the host's file tree is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where an absolute path of the host really is.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns where a blob is, or would be.
    pub fn blob_path(&self, blob: &Blob) -> PathBuf {
        BlobStore::new(self.at(paths::BLOB_DIR)).path(blob)
    }

    /// Returns the file of a blob.
    pub fn blob(&self, blob: &Blob) -> Result<PathBuf, AgentError> {
        let store = BlobStore::new(self.at(paths::BLOB_DIR));
        if store.has(blob) {
            Ok(store.path(blob))
        } else {
            Err(AgentError::MissingBlob(blob.sha256))
        }
    }

    /// Reports one line.
    pub fn log(&self, line: impl Into<String>) {
        // Nobody listening is no reason to fail a step.
        let _ = self.events.send(StepEvent::Log { line: line.into() });
    }

    /// Reports how far the step is.
    pub fn progress(&self, done: u64, total: u64, doing: impl Into<String>) {
        let _ = self.events.send(StepEvent::Progress {
            done,
            total,
            doing: doing.into(),
        });
    }
}
