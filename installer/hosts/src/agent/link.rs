//! A host behind an agent, whatever its channels run over.

use std::time::Duration;

use slipway_api::protocol::{BlobReceived, Channel, MAX_LINE, Reply, Request};
use slipway_api::{Blob, EtcdSnapshotLine, EtcdSnapshotSummary, HostName};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::channel::{AgentChannel, OpenChannel, decode_line, read_line};
use super::control::ControlChannel;
use crate::HostError;
use crate::host::{BlobReader, EventSink, ProgressSink};

/// Blobs sent to one host at once; sshd allows ten sessions (`MaxSessions`) on a connection.
const UPLOADS_AT_ONCE: usize = 4;

/// Pieces in which a blob is sent, in bytes.
const PIECE: usize = 256 << 10;

/// How long an agent may take to accept a piece; links may be slow, and disks.
const PIECE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long an agent may take to answer after a blob's last byte; the disk may be slow.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(300);

/// One control channel, and a channel for each blob.
pub(crate) struct AgentLink {
    name: HostName,
    open: OpenChannel,
    control: ControlChannel,
    uploads: Semaphore,
}

impl AgentLink {
    /// Opens the control channel.
    pub(crate) async fn start(name: HostName, open: OpenChannel) -> Result<Self, HostError> {
        let channel = open().await?;
        let control = ControlChannel::start(name.as_str(), channel).await?;
        Ok(Self {
            name,
            open,
            control,
            uploads: Semaphore::new(UPLOADS_AT_ONCE),
        })
    }

    pub(crate) fn name(&self) -> &HostName {
        &self.name
    }

    pub(crate) async fn request(
        &self,
        request: Request,
        on_event: EventSink<'_>,
    ) -> Result<Reply, HostError> {
        self.control.request(request, on_event).await
    }

    pub(crate) async fn upload(
        &self,
        blob: &Blob,
        content: BlobReader,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        let _turn = self
            .uploads
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut channel = (self.open)().await?;
        channel
            .greet(self.name.as_str(), &Channel::Blob(*blob))
            .await?;
        let AgentChannel {
            mut reader,
            mut writer,
            ended,
        } = channel;
        let receipt = read_line(self.name.as_str(), &mut reader);
        tokio::pin!(receipt);
        let answer = tokio::select! {
            // An answer before the end is a refusal, for example of a full disk.
            answer = &mut receipt => answer,
            sent = self.send(blob, content, &mut writer, on_progress) => {
                sent?;
                timeout(RECEIPT_TIMEOUT, receipt).await.unwrap_or(Ok(None))
            }
        };
        let Some(line) = answer? else {
            let reason = timeout(Duration::from_secs(5), ended).await;
            return Err(HostError::ConnectionLost {
                host: self.name.as_str().to_owned(),
                reason: reason.unwrap_or_else(|_| "the agent did not confirm a blob".into()),
            });
        };
        match decode_line::<BlobReceived>(self.name.as_str(), &line)?.failure {
            None => Ok(()),
            Some(failure) => Err(HostError::Failed {
                host: self.name.as_str().to_owned(),
                failure: Box::new(failure),
            }),
        }
    }

    pub(crate) async fn lost(&self) -> HostError {
        self.control.ended().await
    }

    pub(crate) async fn receive_snapshot(
        &self,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        on_progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<EtcdSnapshotSummary, HostError> {
        let host = self.name.as_str();
        let mut channel = (self.open)().await?;
        channel.greet(host, &Channel::EtcdSnapshot).await?;
        let AgentChannel {
            mut reader,
            writer: _open,
            ended,
        } = channel;
        let hangs = || HostError::Hangs {
            host: host.to_owned(),
            request: "send a snapshot of etcd".to_owned(),
            limit: PIECE_TIMEOUT,
        };
        let unwritable = |source| HostError::SinkUnwritable { source };
        let mut received = 0;
        let mut piece = Vec::new();
        loop {
            let line = timeout(PIECE_TIMEOUT, read_line(host, &mut reader)).await;
            let Some(line) = line.map_err(|_| hangs())?? else {
                break;
            };
            match decode_line::<EtcdSnapshotLine>(host, &line)? {
                EtcdSnapshotLine::Piece { size, remaining } => {
                    if size > MAX_LINE {
                        return Err(HostError::Protocol {
                            host: host.to_owned(),
                            what: format!("it announced a piece of {size} bytes"),
                        });
                    }
                    piece.resize(size, 0);
                    let read = timeout(PIECE_TIMEOUT, reader.read_exact(&mut piece)).await;
                    if read.map_err(|_| hangs())?.is_err() {
                        break;
                    }
                    sink.write_all(&piece).await.map_err(unwritable)?;
                    received += size as u64;
                    on_progress(received, received + remaining);
                }
                EtcdSnapshotLine::Whole { summary } => {
                    sink.flush().await.map_err(unwritable)?;
                    return Ok(summary);
                }
                EtcdSnapshotLine::Failed { failure } => {
                    return Err(HostError::Failed {
                        host: host.to_owned(),
                        failure: Box::new(failure),
                    });
                }
            }
        }
        let reason = timeout(Duration::from_secs(5), ended).await;
        Err(HostError::ConnectionLost {
            host: host.to_owned(),
            reason: reason.unwrap_or_else(|_| "the agent sent half a snapshot".into()),
        })
    }

    pub(crate) fn close(&self) {
        self.control.close();
    }

    /// Sends the bytes; an agent that stops listening explains itself in its answer.
    async fn send(
        &self,
        blob: &Blob,
        content: BlobReader,
        writer: &mut (impl tokio::io::AsyncWrite + Unpin),
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        let unreadable = |source| HostError::BlobUnreadable {
            host: self.name.as_str().to_owned(),
            sha256: blob.sha256,
            source,
        };
        let mut content = content.take(blob.size);
        let mut piece = vec![0; PIECE];
        let mut sent = 0;
        while sent < blob.size {
            let count = content.read(&mut piece).await.map_err(unreadable)?;
            if count == 0 {
                return Err(unreadable(std::io::ErrorKind::UnexpectedEof.into()));
            }
            match timeout(PIECE_TIMEOUT, writer.write_all(&piece[..count])).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => {
                    return Err(HostError::Hangs {
                        host: self.name.as_str().to_owned(),
                        request: format!("take the blob {}", blob.sha256),
                        limit: PIECE_TIMEOUT,
                    });
                }
            }
            sent += count as u64;
            on_progress(sent);
        }
        let _ = writer.flush().await;
        Ok(())
    }
}
