//! Serves one channel: a control channel of requests, or one blob.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use slipway_api::protocol::{
    AgentMessage, BlobReceived, Channel, FromAgent, Hello, MAX_LINE, PROTOCOL, ToAgent,
};
use slipway_api::{EtcdSnapshotLine, paths};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::AgentError;
use crate::blob_store::BlobStore;
use crate::dispatch::Dispatcher;
use crate::etcd::{EtcdClient, EtcdError};

/// Serves a channel until its other end closes it, then waits for the steps in flight.
///
/// `root` is the host's file tree: `/`, or a folder in tests.
///
/// # Errors
/// The channel broke, or its other end does not speak the protocol.
pub async fn serve(
    reader: impl AsyncRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin + Send,
    root: PathBuf,
) -> std::io::Result<()> {
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
    };
    write_line(&mut writer, &hello).await?;
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let Some(first) = read_line(&mut reader).await? else {
        return Ok(());
    };
    match parse::<Channel>(&first)? {
        Channel::Blob(blob) => {
            let store = BlobStore::new(under(&root, paths::BLOB_DIR));
            let failure = store.receive(&blob, &mut reader).await.err();
            let failure = failure.map(|error| error.failure());
            write_line(&mut writer, &BlobReceived { failure }).await
        }
        Channel::EtcdSnapshot => send_snapshot(&mut writer, &root).await,
        Channel::Control => serve_control(reader, writer, root).await,
    }
}

/// Sends a snapshot of this host's etcd; the reader's pace is etcd's.
async fn send_snapshot(writer: &mut (impl AsyncWrite + Unpin), root: &Path) -> std::io::Result<()> {
    let failed = |error: EtcdError| EtcdSnapshotLine::Failed {
        failure: AgentError::from(error).failure(),
    };
    let opened = async { EtcdClient::local(root).await?.snapshot().await };
    let mut stream = match opened.await {
        Ok(stream) => stream,
        Err(error) => return write_line(writer, &failed(error)).await,
    };
    loop {
        let line = match stream.next().await {
            Ok(Some(piece)) => {
                let (received, total) = stream.progress();
                let line = EtcdSnapshotLine::Piece {
                    size: piece.len(),
                    remaining: total - received,
                };
                write_line(writer, &line).await?;
                writer.write_all(&piece).await?;
                continue;
            }
            Ok(None) => EtcdSnapshotLine::Whole {
                summary: stream.summary().expect("it has ended well"),
            },
            Err(error) => failed(error),
        };
        return write_line(writer, &line).await;
    }
}

/// Returns where an absolute path of the host is below `root`.
pub(crate) fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

async fn serve_control(
    mut reader: impl AsyncBufRead + Unpin + Send + 'static,
    mut writer: impl AsyncWrite + Unpin + Send,
    root: PathBuf,
) -> std::io::Result<()> {
    // A task of its own: a line half read must not be lost when a reply is written.
    let (line_sender, mut lines) = mpsc::channel(16);
    let reading = tokio::spawn(async move {
        while let Ok(Some(line)) = read_line(&mut reader).await {
            if line_sender.send(line).await.is_err() {
                break;
            }
        }
    });
    let dispatcher = Arc::new(Dispatcher::new(root));
    let (sender, mut receiver) = mpsc::unbounded_channel::<FromAgent>();
    let mut tasks = JoinSet::new();
    let mut open = true;
    while open || !tasks.is_empty() {
        tokio::select! {
            line = lines.recv(), if open => match line {
                Some(line) => {
                    // What has begun is finished, even if the other end talks nonsense.
                    let Ok(ToAgent { id, request }) = parse(&line) else {
                        open = false;
                        dispatcher.abandon();
                        continue;
                    };
                    let dispatcher = Arc::clone(&dispatcher);
                    let sender = sender.clone();
                    tasks.spawn(async move {
                        let events = sender.clone();
                        let reply = dispatcher
                            .handle(request, move |event| {
                                let message = AgentMessage::Event(event);
                                let _ = events.send(FromAgent { id, message });
                            })
                            .await;
                        let message = match reply {
                            Ok(reply) => AgentMessage::Reply(Box::new(reply)),
                            Err(error) => AgentMessage::Failed(error.failure()),
                        };
                        let _ = sender.send(FromAgent { id, message });
                    });
                }
                // The workstation is gone or done: no new request, but what
                // has begun is finished and journalled; only waits end.
                None => {
                    open = false;
                    dispatcher.abandon();
                }
            },
            Some(line) = receiver.recv() => {
                if write_line(&mut writer, &line).await.is_err() {
                    open = false;
                    dispatcher.abandon();
                }
            }
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    while let Ok(line) = receiver.try_recv() {
        if write_line(&mut writer, &line).await.is_err() {
            break;
        }
    }
    reading.abort();
    Ok(())
}

async fn write_line(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &impl serde::Serialize,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    let got = reader.take(limit).read_until(b'\n', &mut line).await?;
    if got as u64 == limit {
        return Err(std::io::Error::other(
            "a line is longer than the protocol allows",
        ));
    }
    Ok((got > 0).then_some(line))
}

fn parse<T: serde::de::DeserializeOwned>(line: &[u8]) -> std::io::Result<T> {
    serde_json::from_slice(line)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}
