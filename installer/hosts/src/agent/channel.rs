//! The streams of one running agent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_api::protocol::{Channel, Hello, MAX_LINE, PROTOCOL};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::HostError;

/// How long an agent may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(60);

/// Lines that a talkative login shell may print before the agent's first.
const MAX_NOISE: usize = 100;

/// A future that is sent between threads.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts an agent and returns its streams; called once for every channel.
pub type OpenChannel = Arc<dyn Fn() -> Later<Result<AgentChannel, HostError>> + Send + Sync>;

/// An agent's standard input and output, and how it ends.
pub struct AgentChannel {
    /// What it says.
    pub reader: Pin<Box<dyn AsyncBufRead + Send>>,
    /// What it hears; shut down to say that nothing follows.
    pub writer: Pin<Box<dyn AsyncWrite + Send>>,
    /// Says in words how it ended, once `reader` has ended.
    pub ended: Later<String>,
}

impl AgentChannel {
    /// Waits for the agent's hello, then says what the channel is for.
    ///
    /// Nothing is sent before the hello: until then `sudo` may be the one who listens, and would
    /// take it for a password.
    pub(super) async fn greet(&mut self, host: &str, channel: &Channel) -> Result<(), HostError> {
        let hello = match timeout(HELLO_TIMEOUT, self.hello(host)).await {
            Ok(Ok(Some(hello))) => hello,
            Ok(Ok(None)) => {
                let said = self.end().await;
                return Err(HostError::AgentDidNotStart {
                    host: host.to_owned(),
                    said,
                });
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let said = format!("no hello within {} s", HELLO_TIMEOUT.as_secs());
                return Err(HostError::AgentDidNotStart {
                    host: host.to_owned(),
                    said,
                });
            }
        };
        if hello.protocol != PROTOCOL {
            return Err(HostError::Protocol {
                host: host.to_owned(),
                what: format!(
                    "version {} speaks protocol {}, this is {PROTOCOL}",
                    hello.version, hello.protocol
                ),
            });
        }
        let line = encode_line(host, channel)?;
        match self.writer.write_all(&line).await {
            Ok(()) => Ok(()),
            Err(_) => Err(HostError::ConnectionLost {
                host: host.to_owned(),
                reason: self.end().await,
            }),
        }
    }

    async fn hello(&mut self, host: &str) -> Result<Option<Hello>, HostError> {
        for _ in 0..MAX_NOISE {
            match read_line(host, &mut self.reader).await? {
                None => return Ok(None),
                Some(line) if line.starts_with(b"{") => return decode_line(host, &line).map(Some),
                Some(_) => {}
            }
        }
        Ok(None)
    }

    async fn end(&mut self) -> String {
        // An agent that has closed its output is about to end.
        match timeout(Duration::from_secs(5), &mut self.ended).await {
            Ok(said) => said,
            Err(_) => "it closed its output".into(),
        }
    }
}

impl std::fmt::Debug for AgentChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgentChannel")
    }
}

/// Returns `value` as one line of JSON.
pub(super) fn encode_line(host: &str, value: &impl Serialize) -> Result<Vec<u8>, HostError> {
    let violation = |what: String| HostError::Protocol {
        host: host.to_owned(),
        what,
    };
    let mut line = serde_json::to_vec(value).map_err(|error| violation(error.to_string()))?;
    line.push(b'\n');
    if line.len() > MAX_LINE {
        return Err(violation(format!(
            "a request of {} bytes is too long",
            line.len()
        )));
    }
    Ok(line)
}

/// Returns the next line, or nothing where the stream ends or breaks.
pub(super) async fn read_line(
    host: &str,
    reader: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<Vec<u8>>, HostError> {
    let mut line = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    match reader.take(limit).read_until(b'\n', &mut line).await {
        Ok(count) if count as u64 == limit => Err(HostError::Protocol {
            host: host.to_owned(),
            what: format!("it sent a line of more than {MAX_LINE} bytes"),
        }),
        Ok(_) if line.ends_with(b"\n") => Ok(Some(line)),
        // What comes before an end without newline was cut off.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Returns the value that a line of JSON holds.
pub(super) fn decode_line<T: DeserializeOwned>(host: &str, line: &[u8]) -> Result<T, HostError> {
    // Neither the line nor serde's message is shown: both can hold a secret.
    serde_json::from_slice(line).map_err(|error| HostError::Protocol {
        host: host.to_owned(),
        what: format!(
            "a line of {} bytes cannot be understood from column {} on",
            line.len(),
            error.column()
        ),
    })
}
