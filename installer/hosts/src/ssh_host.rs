//! A host reached over SSH.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{Architecture, Blob, HostName};
use tokio::time::timeout;

use crate::HostError;
use crate::agent::{AgentBinaries, AgentChannel, AgentLink, InstalledAgent, OpenChannel};
use crate::host::{BlobReader, EventSink, Host, ProgressSink};
use crate::ssh::{SshConnection, SshError, SshPool, SshTarget};

/// How long saying good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A host with one SSH connection and an agent as root at its other end.
pub struct SshHost {
    link: AgentLink,
    connection: Arc<SshConnection>,
    architecture: Architecture,
}

impl SshHost {
    /// Connects to `target`, brings the agent there if it is missing, and starts it.
    ///
    /// `on_progress` hears how many bytes of the agent are sent, if any have to be.
    pub async fn connect(
        name: HostName,
        target: &SshTarget,
        pool: &SshPool,
        binaries: &AgentBinaries,
        on_progress: ProgressSink<'_>,
    ) -> Result<Self, HostError> {
        let connection = Arc::new(pool.open(target).await?);
        let agent = InstalledAgent::ensure(&connection, target, binaries, on_progress).await?;
        let architecture = agent.architecture;
        let link = AgentLink::start(name, opener(Arc::clone(&connection), agent)).await?;
        Ok(Self {
            link,
            connection,
            architecture,
        })
    }

    /// Returns the host's architecture.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Returns the connection, for commands beside the agent.
    pub fn connection(&self) -> &SshConnection {
        &self.connection
    }
}

fn opener(connection: Arc<SshConnection>, agent: InstalledAgent) -> OpenChannel {
    let agent = Arc::new(agent);
    Arc::new(move || {
        let (connection, agent) = (Arc::clone(&connection), Arc::clone(&agent));
        Box::pin(async move {
            let command = agent.privilege.start(&connection, &agent.command).await?;
            let (exit, stderr) = (command.exit, command.stderr);
            Ok(AgentChannel {
                reader: Box::pin(command.stdout),
                writer: Box::pin(command.stdin),
                ended: Box::pin(async move {
                    match exit.wait().await {
                        Ok(status) => {
                            format!("the agent ended with {status}; {}", stderr.text().await)
                        }
                        Err(SshError::ConnectionLost { reason, .. }) => reason,
                        Err(error) => error.to_string(),
                    }
                }),
            })
        })
    })
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &HostName {
        self.link.name()
    }

    async fn request(&self, request: Request, on_event: EventSink<'_>) -> Result<Reply, HostError> {
        self.link.request(request, on_event).await
    }

    async fn upload(
        &self,
        blob: &Blob,
        content: BlobReader,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        self.link.upload(blob, content, on_progress).await
    }

    async fn close(&self) {
        self.link.close();
        // A host that hangs must not hold up the end.
        let _ = timeout(CLOSE_TIMEOUT, self.connection.close()).await;
    }
}
