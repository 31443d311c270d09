//! A host reached over SSH.

use std::sync::Arc;

use slipway_api::{Architecture, HostName};

use crate::HostError;
use crate::agent::{AgentBinaries, AgentChannel, AgentLink, InstalledAgent, OpenChannel};
use crate::host::ProgressSink;
use crate::linked::Linked;
use crate::ssh::{SshConnection, SshError, SshPool, SshTarget};

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

impl Linked for SshHost {
    fn link(&self) -> &AgentLink {
        &self.link
    }

    fn carrier(&self) -> Option<&SshConnection> {
        Some(&self.connection)
    }
}
