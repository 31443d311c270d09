//! A control channel: many requests in flight, told apart by their number.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use slipway_api::protocol::{AgentMessage, Channel, FromAgent, Reply, Request, ToAgent};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::channel::{AgentChannel, Later, decode_line, encode_line, read_line};
use super::silence::{hanging, limit};
use crate::HostError;
use crate::host::EventSink;

/// Requests and replies of one agent.
pub(super) struct ControlChannel {
    host: String,
    lines: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    desk: Arc<Desk>,
    reading: JoinHandle<()>,
    writing: JoinHandle<()>,
}

/// Where answers are handed out.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    /// Cancelled when nothing comes any more.
    closed: CancellationToken,
}

#[derive(Default)]
struct State {
    next_id: u64,
    waiting: HashMap<u64, mpsc::UnboundedSender<AgentMessage>>,
    /// Why nothing comes any more.
    lost: Option<String>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the state is whole between statements.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn close(&self, reason: String) {
        {
            let mut state = self.state();
            state.lost.get_or_insert(reason);
            state.waiting.clear();
        }
        self.closed.cancel();
    }

    fn reason(&self) -> String {
        self.state()
            .lost
            .clone()
            .unwrap_or_else(|| "it was closed".into())
    }
}

/// Forgets a request when its answer came or nobody waits for it.
struct Ticket<'a> {
    desk: &'a Desk,
    id: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.desk.state().waiting.remove(&self.id);
    }
}

impl ControlChannel {
    /// Greets the agent on `channel` and serves it from now on.
    pub(super) async fn start(host: &str, mut channel: AgentChannel) -> Result<Self, HostError> {
        channel.greet(host, &Channel::Control).await?;
        let AgentChannel {
            reader,
            writer,
            ended,
        } = channel;
        let desk = Arc::new(Desk::default());
        let (lines, queue) = mpsc::unbounded_channel();
        Ok(Self {
            host: host.to_owned(),
            lines: Mutex::new(Some(lines)),
            reading: tokio::spawn(read(host.to_owned(), reader, ended, Arc::clone(&desk))),
            writing: tokio::spawn(write(writer, queue)),
            desk,
        })
    }

    /// Sends a request and waits for its reply, as long as such a request may take.
    pub(super) async fn request(
        &self,
        request: Request,
        on_event: EventSink<'_>,
    ) -> Result<Reply, HostError> {
        let limit = limit(&request);
        self.request_within(limit, request, on_event).await
    }

    /// Sends a request; every event gives it another `limit`.
    async fn request_within(
        &self,
        limit: Duration,
        request: Request,
        on_event: EventSink<'_>,
    ) -> Result<Reply, HostError> {
        let (sender, mut messages) = mpsc::unbounded_channel();
        let ticket = {
            let mut state = self.desk.state();
            if state.lost.is_some() {
                drop(state);
                return Err(self.lost());
            }
            let id = state.next_id;
            state.next_id += 1;
            state.waiting.insert(id, sender);
            Ticket {
                desk: &self.desk,
                id,
            }
        };
        let silent = hanging(&self.host, &request);
        let id = ticket.id;
        self.send(encode_line(&self.host, &ToAgent { id, request })?)?;
        loop {
            let Ok(message) = timeout(limit, messages.recv()).await else {
                return Err(silent);
            };
            match message {
                Some(AgentMessage::Event(event)) => on_event(event),
                Some(AgentMessage::Reply(reply)) => return Ok(*reply),
                Some(AgentMessage::Failed(failure)) => {
                    return Err(HostError::Failed {
                        host: self.host.clone(),
                        failure: Box::new(failure),
                    });
                }
                None => return Err(self.lost()),
            }
        }
    }

    /// Returns once the channel has ended, and says why.
    pub(super) async fn ended(&self) -> HostError {
        self.desk.closed.cancelled().await;
        self.lost()
    }

    /// Tells the agent that nothing follows and fails what is in flight.
    pub(super) fn close(&self) {
        self.queue().take();
        self.desk.close("it was closed from here".into());
    }

    fn send(&self, line: Vec<u8>) -> Result<(), HostError> {
        let sent = self
            .queue()
            .as_ref()
            .is_some_and(|lines| lines.send(line).is_ok());
        if sent { Ok(()) } else { Err(self.lost()) }
    }

    fn queue(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Vec<u8>>>> {
        self.lines
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn lost(&self) -> HostError {
        HostError::ConnectionLost {
            host: self.host.clone(),
            reason: self.desk.reason(),
        }
    }
}

impl Drop for ControlChannel {
    fn drop(&mut self) {
        self.reading.abort();
        self.writing.abort();
    }
}

/// Hands every line to the request it answers, until there are no more.
async fn read(
    host: String,
    mut reader: Pin<Box<dyn AsyncBufRead + Send>>,
    ended: Later<String>,
    desk: Arc<Desk>,
) {
    let violation = loop {
        let line = match read_line(&host, &mut reader).await {
            Ok(Some(line)) => line,
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        };
        match decode_line::<FromAgent>(&host, &line) {
            Ok(FromAgent { id, message }) => {
                // An answer nobody waits for belongs to a request that was given up.
                if let Some(sender) = desk.state().waiting.get(&id) {
                    let _ = sender.send(message);
                }
            }
            Err(error) => break Some(error.to_string()),
        }
    };
    match violation {
        Some(what) => desk.close(what),
        None => {
            let reason = ended.await;
            desk.close(reason);
        }
    }
}

async fn write(
    mut writer: Pin<Box<dyn AsyncWrite + Send>>,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    while let Some(line) = queue.recv().await {
        let written = async {
            writer.write_all(&line).await?;
            writer.flush().await
        };
        if written.await.is_err() {
            // The reader sees the end as well, and knows why.
            return;
        }
    }
    let _ = writer.shutdown().await;
}

#[cfg(test)]
mod tests {
    use slipway_api::protocol::{Hello, PROTOCOL, StepEvent};
    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    async fn say(writer: &mut (impl AsyncWrite + Unpin), value: &impl serde::Serialize) {
        let line = encode_line("cp-1", value).expect("encodes");
        writer.write_all(&line).await.expect("somebody listens");
    }

    /// Returns a channel to an agent that tells `events` events about every request, each after
    /// `pause`, and never answers.
    async fn channel(events: usize, pause: Duration) -> ControlChannel {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let (reader, mut writer) = tokio::io::split(theirs);
            let version = String::new();
            let protocol = PROTOCOL;
            say(&mut writer, &Hello { version, protocol }).await;
            let mut lines = BufReader::new(reader).lines();
            let mut is_first = true;
            while let Ok(Some(line)) = lines.next_line().await {
                // The first line says what the channel is for.
                if std::mem::take(&mut is_first) {
                    continue;
                }
                let ToAgent { id, .. } = serde_json::from_str(&line).expect("a request");
                for _ in 0..events {
                    tokio::time::sleep(pause).await;
                    let line = "still at it".to_owned();
                    let message = AgentMessage::Event(StepEvent::Log { line });
                    say(&mut writer, &FromAgent { id, message }).await;
                }
            }
        });
        let (reader, writer) = tokio::io::split(ours);
        let channel = AgentChannel {
            reader: Box::pin(BufReader::new(reader)),
            writer: Box::pin(writer),
            ended: Box::pin(async { "the agent ended".to_owned() }),
        };
        ControlChannel::start("cp-1", channel)
            .await
            .expect("greets")
    }

    #[tokio::test]
    async fn an_agent_that_says_nothing_is_given_up_and_the_error_says_what_was_asked() {
        let control = channel(0, Duration::ZERO).await;
        let asked =
            control.request_within(Duration::from_millis(50), Request::GatherFacts, &|_| ());
        let error = asked.await.expect_err("it hangs");
        assert!(error.is_unreachable());
        assert_eq!(
            error.to_string(),
            "cp-1: no sign of life for 60 s while asked to: gather facts"
        );
    }

    #[tokio::test]
    async fn every_event_is_a_sign_of_life() {
        let control = channel(8, Duration::from_millis(100)).await;
        let heard = Mutex::new(0);
        let hear = |_| *heard.lock().expect("not poisoned") += 1;
        let limit = Duration::from_millis(400);
        let asked = control.request_within(limit, Request::GatherFacts, &hear);
        asked.await.expect_err("it hangs in the end");
        assert_eq!(*heard.lock().expect("not poisoned"), 8);
    }
}
