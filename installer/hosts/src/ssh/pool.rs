//! Opens connections and shares one per bastion among the hosts behind it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Mutex;

use super::connection::SshConnection;
use super::error::SshError;
use super::target::SshTarget;

/// Opens connections; bastions stay connected for as long as the pool lives.
#[derive(Clone, Debug, Default)]
pub struct SshPool {
    bastions: Arc<Mutex<HashMap<String, Arc<Mutex<Slot>>>>>,
}

/// The connection to one bastion, or how the last attempt failed.
#[derive(Debug, Default)]
struct Slot {
    connection: Option<Arc<SshConnection>>,
    failure: Option<(Instant, Arc<SshError>)>,
}

impl SshPool {
    /// Opens a connection to `target`, through its bastions, checks its host key and logs in.
    pub async fn open(&self, target: &SshTarget) -> Result<SshConnection, SshError> {
        let mut bastion = None;
        let mut way = String::new();
        for hop in &target.proxy_jump {
            way = format!("{way}>{}@{}", hop.user, hop.endpoint());
            bastion = Some(self.bastion(&way, hop, bastion).await.map_err(|source| {
                SshError::Bastion {
                    host: target.host_name.clone(),
                    bastion: hop.endpoint(),
                    source,
                }
            })?);
        }
        SshConnection::open_through(target, bastion).await
    }

    async fn bastion(
        &self,
        way: &str,
        hop: &SshTarget,
        before: Option<Arc<SshConnection>>,
    ) -> Result<Arc<SshConnection>, Arc<SshError>> {
        let asked = Instant::now();
        let slot = {
            let mut bastions = self.bastions.lock().await;
            Arc::clone(bastions.entry(way.to_owned()).or_default())
        };
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        // A hundred hosts behind a dead bastion wait for one attempt, not for a hundred.
        if let Some((_, error)) = slot.failure.as_ref().filter(|(when, _)| *when >= asked) {
            return Err(Arc::clone(error));
        }
        match SshConnection::open_through(hop, before).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                slot.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                let error = Arc::new(error);
                slot.failure = Some((Instant::now(), Arc::clone(&error)));
                Err(error)
            }
        }
    }
}
