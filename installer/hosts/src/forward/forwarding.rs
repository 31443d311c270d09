//! Passes connections on over SSH, through a host that serves.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::forward_change::ForwardChange;
use super::keeper::{ANSWER_TIMEOUT, Keeper, whole};
use super::routes::{Candidate, Routes};
use crate::ssh::{ByteStream, SshPool, SshTarget};

/// How long a new connection waits for a host while none serves.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Asks whether what is at the other end of a stream serves, and says why not.
pub type ForwardProbe = Arc<
    dyn Fn(Box<dyn ByteStream>) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>
        + Send
        + Sync,
>;

/// A way to one address beside several hosts. All of them are kept connected and asked whether
/// they serve; connections go through one that does. Dropping it ends them all.
pub struct Forward {
    destination: SocketAddr,
    routes: Arc<Routes>,
    _keepers: JoinSet<()>,
}

impl Forward {
    /// Begins to connect to `hosts`, for a way to `destination` as each of them sees it.
    pub fn start(
        hosts: Vec<SshTarget>,
        destination: SocketAddr,
        probe: ForwardProbe,
        on_change: impl Fn(ForwardChange) + Send + Sync + 'static,
    ) -> Self {
        let names = hosts.iter().map(|host| host.host_name.clone());
        let routes = Arc::new(Routes::new(names, Box::new(on_change)));
        let pool = SshPool::default();
        let keepers = hosts.into_iter().enumerate().map(|(index, target)| Keeper {
            index,
            target,
            pool: pool.clone(),
            destination,
            probe: Arc::clone(&probe),
            routes: Arc::clone(&routes),
        });
        Self {
            destination,
            _keepers: keepers.map(Keeper::run).collect(),
            routes,
        }
    }

    /// Waits until a host serves.
    ///
    /// # Errors
    /// Each host with its reason, once all have been tried and none serves.
    pub async fn ready(&self) -> Result<(), Vec<(String, String)>> {
        let mut changes = self.routes.changes();
        loop {
            if !self.routes.candidates().is_empty() {
                return Ok(());
            }
            if let Some(failures) = self.routes.all_failures() {
                return Err(failures);
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Passes on what `listener` accepts, for ever; the connections end with this future.
    pub async fn serve(&self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    let routes = Arc::clone(&self.routes);
                    connections.spawn(carry(client, routes, self.destination));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
            // Those that have ended are forgotten.
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn carry(mut client: TcpStream, routes: Arc<Routes>, destination: SocketAddr) {
    let Ok(Some((mut server, candidate))) = timeout(PATIENCE, open(&routes, destination)).await
    else {
        return;
    };
    // Requests are small and wait for answers.
    let _ = client.set_nodelay(true);
    tokio::select! {
        // How a connection ended is its two ends' matter.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        () = candidate.cut.cancelled() => {}
    }
}

/// Opens a way through the first host that does, waiting for one where none serves.
async fn open(
    routes: &Routes,
    destination: SocketAddr,
) -> Option<(Box<dyn ByteStream>, Candidate)> {
    let mut changes = routes.changes();
    loop {
        for candidate in routes.candidates() {
            let opening = candidate.connection.forward_to(destination);
            let reason = match timeout(ANSWER_TIMEOUT, opening).await {
                Ok(Ok(stream)) => return Some((stream, candidate)),
                Ok(Err(error)) => whole(&error, candidate.connection.host_name()),
                Err(_) => format!("no answer over SSH within {} s", ANSWER_TIMEOUT.as_secs()),
            };
            routes.note_failure(candidate.index, reason);
        }
        if routes.candidates().is_empty() {
            changes.changed().await.ok()?;
        }
    }
}
