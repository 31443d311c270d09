//! This machine, with the agent in the same process.

use std::future::Future;
use std::sync::Arc;

use slipway_api::HostName;
use tokio::io::{BufReader, DuplexStream, ReadHalf, WriteHalf};

use crate::HostError;
use crate::agent::{AgentChannel, AgentLink, OpenChannel};
use crate::linked::Linked;

/// How much fits between the two ends of a channel, in bytes.
const PIPE_SIZE: usize = 1 << 20;

/// This machine: the same agent and protocol as over SSH, through memory.
pub struct LocalHost {
    link: AgentLink,
}

impl LocalHost {
    /// Starts the agent that `serve` runs: once for every channel, until its streams end.
    pub async fn start<S, F>(name: HostName, serve: S) -> Result<Self, HostError>
    where
        S: Fn(ReadHalf<DuplexStream>, WriteHalf<DuplexStream>) -> F + Send + Sync + 'static,
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let open: OpenChannel = Arc::new(move || {
            let (ours, theirs) = tokio::io::duplex(PIPE_SIZE);
            let (reader, writer) = tokio::io::split(theirs);
            let agent = tokio::spawn(serve(reader, writer));
            let (reader, writer) = tokio::io::split(ours);
            Box::pin(async move {
                Ok(AgentChannel {
                    reader: Box::pin(BufReader::new(reader)),
                    writer: Box::pin(writer),
                    ended: Box::pin(async move {
                        match agent.await {
                            Ok(Ok(())) => "the agent ended".into(),
                            Ok(Err(error)) => format!("the agent failed: {error}"),
                            Err(error) => format!("the agent crashed: {error}"),
                        }
                    }),
                })
            })
        });
        Ok(Self {
            link: AgentLink::start(name, open).await?,
        })
    }
}

impl Linked for LocalHost {
    fn link(&self) -> &AgentLink {
        &self.link
    }
}
