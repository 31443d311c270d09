//! Blobs in containerd's content store.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::{
    AbortRequest, Info, InfoRequest, ReadContentRequest, UpdateRequest, WriteAction,
    WriteContentRequest, WriteContentResponse,
};
use futures::SinkExt;
use futures::channel::mpsc;
use prost_types::FieldMask;
use slipway_api::Blob;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tonic::{Code, Streaming};

use super::client::within;
use super::{ContainerdClient, ContainerdError};

/// How much one message carries; containerd accepts up to 16 MiB.
const CHUNK_BYTES: usize = 1 << 20;
/// How long containerd may take over one message; disks can be slow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a write by somebody else of the same blob is waited for.
const LOCKED_BOUND: Duration = Duration::from_secs(30);
/// The pause between two looks at such a write.
const LOCKED_PAUSE: Duration = Duration::from_millis(500);

/// Returns the name of a blob as containerd writes it.
pub(super) fn digest(blob: &Blob) -> String {
    format!("sha256:{}", blob.sha256)
}

impl ContainerdClient {
    /// Returns whether the content store has the whole blob.
    pub(super) async fn has_content(&self, blob: &Blob) -> Result<bool, ContainerdError> {
        let message = InfoRequest {
            digest: digest(blob),
        };
        let mut content = ContentClient::new(self.channel.clone());
        let found = content.info(self.request(message));
        match self.call("look for content", found).await {
            Ok(answer) => {
                let size = answer.info.map(|info| info.size);
                Ok(size.is_some_and(|size| u64::try_from(size) == Ok(blob.size)))
            }
            Err(error) if error.code() == Some(Code::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds labels to a blob; others stay.
    pub(super) async fn label_content(
        &self,
        blob: &Blob,
        labels: HashMap<String, String>,
    ) -> Result<(), ContainerdError> {
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let message = UpdateRequest {
            info: Some(Info {
                digest: digest(blob),
                labels,
                ..Info::default()
            }),
            update_mask: Some(FieldMask { paths }),
        };
        let mut content = ContentClient::new(self.channel.clone());
        let updated = content.update(self.request(message));
        self.call("label content", updated).await.map(|_| ())
    }

    /// Returns a small blob's bytes.
    pub(super) async fn read_content(&self, blob: &Blob) -> Result<Vec<u8>, ContainerdError> {
        let doing = format!("read content {}", digest(blob));
        let message = ReadContentRequest {
            digest: digest(blob),
            offset: 0,
            size: 0,
        };
        let mut content = ContentClient::new(self.channel.clone());
        let mut stream = self
            .call(&doing, content.read(self.request(message)))
            .await?;
        let mut bytes = Vec::new();
        while let Some(part) = within(WRITE_TIMEOUT, &doing, stream.message()).await? {
            bytes.extend_from_slice(&part.data);
        }
        Ok(bytes)
    }

    /// Writes the blob in the file at `path` unless containerd has it; what an
    /// earlier, interrupted write left is used. `progress` hears how many
    /// bytes are there. containerd checks size and digest itself.
    pub(super) async fn write_content(
        &self,
        blob: &Blob,
        path: &Path,
        labels: HashMap<String, String>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), ContainerdError> {
        let deadline = Instant::now() + LOCKED_BOUND;
        let mut may_start_anew = true;
        loop {
            let error = match self.write_once(blob, path, &labels, progress).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.code() {
                Some(Code::AlreadyExists) => {
                    progress(blob.size);
                    if labels.is_empty() {
                        return Ok(());
                    }
                    return self.label_content(blob, labels).await;
                }
                // Another import, or CRI, is writing the same blob.
                Some(Code::Unavailable) if Instant::now() < deadline => {
                    tokio::time::sleep(LOCKED_PAUSE).await;
                }
                // Wrong bytes: they must not be what the next write goes on
                // from, and may themselves come from an earlier one.
                Some(Code::FailedPrecondition) => {
                    self.abort_write(blob).await?;
                    if !std::mem::take(&mut may_start_anew) {
                        return Err(error);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Forgets what an unfinished write of the blob left.
    async fn abort_write(&self, blob: &Blob) -> Result<(), ContainerdError> {
        let message = AbortRequest {
            r#ref: write_reference(blob),
        };
        let mut content = ContentClient::new(self.channel.clone());
        let aborted = content.abort(self.request(message));
        match self.call("abort a write", aborted).await {
            Err(error) if error.code() == Some(Code::NotFound) => Ok(()),
            outcome => outcome,
        }
    }

    async fn write_once(
        &self,
        blob: &Blob,
        path: &Path,
        labels: &HashMap<String, String>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), ContainerdError> {
        let unreadable = |source| ContainerdError::ReadBlob {
            path: path.display().to_string(),
            source,
        };
        let doing = format!("write content {}", digest(blob));
        let message = |action: WriteAction, offset: u64, data: Vec<u8>| WriteContentRequest {
            action: action.into(),
            r#ref: write_reference(blob),
            total: signed(blob.size),
            expected: digest(blob),
            offset: signed(offset),
            data,
            labels: match action {
                WriteAction::Commit => labels.clone(),
                WriteAction::Stat | WriteAction::Write => HashMap::new(),
            },
        };
        // Asking for the state locks the write and tells where to go on.
        let (mut sender, receiver) = mpsc::channel(1);
        send(&mut sender, message(WriteAction::Stat, 0, Vec::new())).await;
        let mut content = ContentClient::new(self.channel.clone());
        let mut answers = self
            .call(&doing, content.write(self.request(receiver)))
            .await?;
        let state = answer(&doing, &mut answers).await?;
        let mut offset = u64::try_from(state.offset).unwrap_or(0);

        let mut file = File::open(path).await.map_err(unreadable)?;
        file.seek(SeekFrom::Start(offset))
            .await
            .map_err(unreadable)?;
        progress(offset);
        while offset < blob.size {
            let data = read_chunk(&mut file).await.map_err(unreadable)?;
            if data.is_empty() {
                return Err(ContainerdError::ShortBlob {
                    path: path.display().to_string(),
                    expected: blob.size,
                    found: offset,
                });
            }
            let length = data.len() as u64;
            send(&mut sender, message(WriteAction::Write, offset, data)).await;
            answer(&doing, &mut answers).await?;
            offset += length;
            progress(offset);
        }
        send(
            &mut sender,
            message(WriteAction::Commit, offset, Vec::new()),
        )
        .await;
        answer(&doing, &mut answers).await.map(|_| ())
    }
}

/// Returns the name under which a write of the blob can be continued.
fn write_reference(blob: &Blob) -> String {
    format!("slipway-{}", digest(blob))
}

/// Hands a message to the stream. A stream that containerd ended drops it:
/// the next answer says why.
async fn send(sender: &mut mpsc::Sender<WriteContentRequest>, message: WriteContentRequest) {
    let _ = sender.send(message).await;
}

async fn answer(
    doing: &str,
    answers: &mut Streaming<WriteContentResponse>,
) -> Result<WriteContentResponse, ContainerdError> {
    let answer = within(WRITE_TIMEOUT, doing, answers.message()).await?;
    answer.ok_or_else(|| ContainerdError::Refused {
        doing: doing.to_owned(),
        code: Code::Aborted,
        message: "it ended the write".to_owned(),
    })
}

/// Reads the next chunk; an empty one is the end.
async fn read_chunk(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(CHUNK_BYTES);
    file.take(CHUNK_BYTES as u64).read_to_end(&mut data).await?;
    Ok(data)
}

/// Returns a size as containerd's messages have it.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
