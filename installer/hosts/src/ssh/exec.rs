//! A command that runs on a host: its streams and its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::error::SshError;

/// How many chunks (of at most 32 KiB) wait for a slow reader before the connection waits too.
const CHUNKS_AHEAD: usize = 256;

/// The stream number of standard error (RFC 4254, section 5.2).
const STANDARD_ERROR: u32 = 1;

/// A running command; dropping all its parts closes the channel, and the command sees its
/// standard input end.
///
/// The SSH library has no flow control per channel: a stream that is kept but not read holds up
/// the whole connection. Read both output streams, or drop them.
#[derive(Debug)]
pub struct Exec {
    /// Standard input; shut it down to send end-of-file.
    pub stdin: ExecWriter,
    /// Standard output.
    pub stdout: ExecReader,
    /// Standard error.
    pub stderr: ExecReader,
    /// How the command ends.
    pub exit: ExecExit,
}

/// What a finished command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u32),
    /// A signal, named without `SIG`, killed it.
    Signal(String),
    /// The host closed the channel without saying.
    Unknown,
}

impl ExitStatus {
    /// Returns whether the command exited with code 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Unknown => f.write_str("no exit status"),
        }
    }
}

impl Exec {
    /// Starts to serve an opened channel and waits until the host has accepted `command`.
    pub(super) async fn start(
        channel: russh::Channel<Msg>,
        command: &str,
        host: &str,
        lost: Arc<super::client_handler::LostReason>,
    ) -> Result<Self, SshError> {
        let connection_lost = || SshError::ConnectionLost {
            host: host.to_owned(),
            reason: lost.to_string(),
        };
        let (read, write) = channel.split();
        write
            .exec(true, command)
            .await
            .map_err(|_| connection_lost())?;

        let abandoned = CancellationToken::new();
        let closed = CancellationToken::new();
        let guard = Arc::new(abandoned.clone().drop_guard());
        let (stdout_sender, stdout) = mpsc::channel(CHUNKS_AHEAD);
        let (stderr_sender, stderr) = mpsc::channel(CHUNKS_AHEAD);
        let (exit_sender, exit) = oneshot::channel();
        let (accepted_sender, accepted) = oneshot::channel();
        let writer = Box::pin(write.make_writer());
        let pump = Pump {
            write,
            stdout: Some(stdout_sender),
            stderr: Some(stderr_sender),
            accepted: Some(accepted_sender),
            exit: Some(exit_sender),
            abandoned,
            _closed: closed.clone().drop_guard(),
        };
        tokio::spawn(pump.run(read));

        match accepted.await {
            Ok(true) => {}
            Ok(false) => {
                return Err(SshError::CommandsRefused {
                    host: host.to_owned(),
                });
            }
            Err(_) => return Err(connection_lost()),
        }
        Ok(Self {
            stdin: ExecWriter {
                writer,
                closed: Box::pin(closed.cancelled_owned()),
                _guard: Arc::clone(&guard),
            },
            stdout: ExecReader {
                receiver: stdout,
                chunk: Bytes::new(),
                _guard: Arc::clone(&guard),
            },
            stderr: ExecReader {
                receiver: stderr,
                chunk: Bytes::new(),
                _guard: Arc::clone(&guard),
            },
            exit: ExecExit {
                receiver: exit,
                host: host.to_owned(),
                lost,
                _guard: guard,
            },
        })
    }

    /// Sends `input` and end-of-file, and returns everything the command left.
    pub async fn output(self, input: &[u8]) -> Result<ExecOutput, SshError> {
        let Self {
            mut stdin,
            mut stdout,
            mut stderr,
            exit,
        } = self;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let send = async {
            // A command that does not read its input has still answered.
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        };
        // A broken stream is reported by `exit`, which knows the reason.
        let _ = tokio::join!(
            send,
            stdout.read_to_end(&mut out),
            stderr.read_to_end(&mut err)
        );
        Ok(ExecOutput {
            status: exit.wait().await?,
            stdout: out,
            stderr: err,
        })
    }
}

/// The end of a command.
#[derive(Debug)]
pub struct ExecExit {
    receiver: oneshot::Receiver<ExitStatus>,
    host: String,
    lost: Arc<super::client_handler::LostReason>,
    _guard: Arc<DropGuard>,
}

impl ExecExit {
    /// Waits until the command has ended.
    ///
    /// # Errors
    /// The connection was lost first.
    pub async fn wait(self) -> Result<ExitStatus, SshError> {
        self.receiver.await.map_err(|_| SshError::ConnectionLost {
            host: self.host,
            reason: self.lost.to_string(),
        })
    }
}

/// Standard input of a command.
pub struct ExecWriter {
    writer: Pin<Box<dyn AsyncWrite + Send + Sync>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    _guard: Arc<DropGuard>,
}

impl std::fmt::Debug for ExecWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExecWriter")
    }
}

impl AsyncWrite for ExecWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The library never wakes a writer that waits for window on a dead channel.
        if self.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.writer.as_mut().poll_shutdown(context)
    }
}

/// Standard output or standard error of a command; an error means the connection was lost.
#[derive(Debug)]
pub struct ExecReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
    _guard: Arc<DropGuard>,
}

impl AsyncBufRead for ExecReader {
    fn poll_fill_buf(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<&[u8]>> {
        while self.chunk.is_empty() {
            match ready!(self.receiver.poll_recv(context)) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(&[])),
            }
        }
        Poll::Ready(Ok(&self.get_mut().chunk))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl AsyncRead for ExecReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(context))?;
        let amount = available.len().min(buffer.remaining());
        buffer.put_slice(&available[..amount]);
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

/// Hands the messages of one channel to its streams.
struct Pump {
    write: ChannelWriteHalf<Msg>,
    stdout: Option<mpsc::Sender<io::Result<Bytes>>>,
    stderr: Option<mpsc::Sender<io::Result<Bytes>>>,
    accepted: Option<oneshot::Sender<bool>>,
    exit: Option<oneshot::Sender<ExitStatus>>,
    abandoned: CancellationToken,
    _closed: DropGuard,
}

impl Pump {
    async fn run(mut self, mut read: ChannelReadHalf) {
        let mut status = ExitStatus::Unknown;
        let mut closing = false;
        loop {
            let message = tokio::select! {
                message = read.wait() => message,
                () = self.abandoned.cancelled(), if !closing => {
                    closing = true;
                    // Fails only where the connection is gone, and then there is nothing to close.
                    let _ = self.write.close().await;
                    continue;
                }
            };
            match message {
                Some(ChannelMsg::Close) => break,
                None => return self.report_loss().await,
                Some(message) => self.handle(message, &mut status).await,
            }
        }
        if let Some(exit) = self.exit.take() {
            // Nobody may wait for it any more.
            let _ = exit.send(status);
        }
    }

    async fn handle(&mut self, message: ChannelMsg, status: &mut ExitStatus) {
        match message {
            ChannelMsg::Data { data } => forward(&self.stdout, data).await,
            ChannelMsg::ExtendedData {
                data,
                ext: STANDARD_ERROR,
            } => {
                forward(&self.stderr, data).await;
            }
            ChannelMsg::Eof => {
                self.stdout = None;
                self.stderr = None;
            }
            ChannelMsg::ExitStatus { exit_status } => *status = ExitStatus::Code(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                *status = ExitStatus::Signal(format!("{signal_name:?}"));
            }
            ChannelMsg::Success => self.answer(true),
            ChannelMsg::Failure => self.answer(false),
            ChannelMsg::Open { .. }
            | ChannelMsg::ExtendedData { .. }
            | ChannelMsg::Close
            | ChannelMsg::RequestPty { .. }
            | ChannelMsg::RequestShell { .. }
            | ChannelMsg::Exec { .. }
            | ChannelMsg::Signal { .. }
            | ChannelMsg::RequestSubsystem { .. }
            | ChannelMsg::RequestX11 { .. }
            | ChannelMsg::SetEnv { .. }
            | ChannelMsg::WindowChange { .. }
            | ChannelMsg::AgentForward { .. }
            | ChannelMsg::XonXoff { .. }
            | ChannelMsg::WindowAdjusted { .. }
            | ChannelMsg::OpenFailure(_)
            | _ => {}
        }
    }

    fn answer(&mut self, accepted: bool) {
        if let Some(sender) = self.accepted.take() {
            let _ = sender.send(accepted);
        }
    }

    /// Makes readers fail in place of seeing an ordinary end, which would look like a whole answer.
    async fn report_loss(self) {
        for sender in [self.stdout, self.stderr].into_iter().flatten() {
            let _ = sender
                .send(Err(io::ErrorKind::ConnectionAborted.into()))
                .await;
        }
    }
}

async fn forward(sender: &Option<mpsc::Sender<io::Result<Bytes>>>, data: Bytes) {
    if let Some(sender) = sender {
        // The stream may have been dropped: its output is not wanted.
        let _ = sender.send(Ok(data)).await;
    }
}
