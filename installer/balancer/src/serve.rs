//! The balancer's loop.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use slipway_api::BalancerState;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};

use crate::api_servers::ApiServers;
use crate::backends::Backends;
use crate::forward::forward;
use crate::members::{read_members, read_seeds, write_members};
use crate::state_file::write_whole;
use crate::{BalancerError, BalancerOptions};

/// The pause after a connection could not be accepted, for example for want of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens, and passes connections on for ever; `log` hears what changes.
/// systemd is told once connections are accepted.
///
/// # Errors
/// The address is taken, or there is no list of API servers.
pub async fn serve(
    mut options: BalancerOptions,
    log: impl Fn(String) + Send + Sync + 'static,
) -> Result<(), BalancerError> {
    let seeds = read_seeds(&options.seeds)?;
    let learned = read_members(&options.members);
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.map_err(|source| BalancerError::Listen {
        address: options.listen,
        source,
    })?;
    // Port 0 is any free one.
    options.listen = listener.local_addr().unwrap_or(options.listen);
    let log: Arc<dyn Fn(String) + Send + Sync> = Arc::new(log);
    let backends = Arc::new(Backends::default());
    backends.set(if learned.is_empty() { &seeds } else { &learned });

    tokio::spawn(accept(listener, Arc::clone(&backends), Arc::clone(&log)));
    // Not under systemd, nobody listens to this.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    Keeper {
        options,
        backends,
        seeds,
        learned,
        api_servers: None,
        log,
        complaint: String::new(),
    }
    .run()
    .await;
    Ok(())
}

async fn accept(
    listener: TcpListener,
    backends: Arc<Backends>,
    log: Arc<dyn Fn(String) + Send + Sync>,
) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let (backends, log) = (Arc::clone(&backends), Arc::clone(&log));
                tokio::spawn(async move {
                    for line in forward(client, &backends).await {
                        log(line);
                    }
                });
            }
            Err(error) => {
                log(format!("cannot accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Keeps what is known of the API servers true.
struct Keeper {
    options: BalancerOptions,
    backends: Arc<Backends>,
    seeds: Vec<SocketAddr>,
    /// What the API servers last said of themselves.
    learned: Vec<SocketAddr>,
    /// Absent until there is a CA.
    api_servers: Option<ApiServers>,
    log: Arc<dyn Fn(String) + Send + Sync>,
    /// What was last complained of, to say it once.
    complaint: String,
}

impl Keeper {
    async fn run(mut self) {
        let mut health = interval(self.options.health_period);
        let mut members = interval(self.options.members_period);
        for timer in [&mut health, &mut members] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut asking = FuturesUnordered::new();
        let mut asked = HashSet::new();
        self.write_state();
        loop {
            tokio::select! {
                _ = health.tick() => {
                    self.read_files();
                    let Some(api_servers) = &self.api_servers else { continue };
                    for address in self.backends.addresses() {
                        // A slow answer is not asked for twice.
                        if asked.insert(address) {
                            let api_servers = api_servers.clone();
                            asking.push(async move { (address, api_servers.readiness(address).await) });
                        }
                    }
                }
                Some((address, answer)) = asking.next() => {
                    asked.remove(&address);
                    if let Some(line) = self.backends.note(address, answer) {
                        (self.log)(line);
                        self.write_state();
                    }
                }
                _ = members.tick() => self.learn().await,
            }
        }
    }

    fn read_files(&mut self) {
        let current = self.api_servers.as_ref();
        if current.is_some_and(|known| !known.is_outdated(&self.options)) {
            return;
        }
        match ApiServers::read(&self.options) {
            Ok(read) => self.api_servers = Some(read),
            Err(error) => self.complain(error),
        }
    }

    /// Asks the first ready API server who they all are. Where none of those
    /// known is ready, the seeds come back: the cluster may have moved while
    /// this host was away.
    async fn learn(&mut self) {
        let ready = self.backends.ready();
        let Some(api_servers) = self.api_servers.clone() else {
            return;
        };
        for address in &ready {
            match api_servers.members(*address).await {
                Ok(None) => return,
                // An empty list is a cluster that is starting, not one without API servers.
                Ok(Some(members)) if members.is_empty() => {}
                Ok(Some(members)) => return self.adopt(members),
                Err(error) => self.complain(format!("cannot ask {address} for all: {error}")),
            }
        }
        if ready.is_empty() {
            let mut all = self.learned.clone();
            all.extend(&self.seeds);
            self.use_backends(&all);
        }
    }

    fn adopt(&mut self, members: Vec<SocketAddr>) {
        self.use_backends(&members);
        if self.learned != members {
            match write_members(&self.options.members, &members) {
                Ok(()) => self.learned = members,
                Err(error) => {
                    let path = self.options.members.display();
                    self.complain(format!("cannot write {path}: {error}"));
                }
            }
        }
    }

    fn use_backends(&mut self, addresses: &[SocketAddr]) {
        if self.backends.set(addresses) {
            let all = self.backends.addresses();
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            (self.log)(format!("the API servers are {}", all.join(", ")));
            self.write_state();
        }
    }

    fn write_state(&mut self) {
        let state = BalancerState {
            listen: self.options.listen,
            backends: self.backends.report(),
        };
        let text = serde_json::to_string(&state).expect("a state is JSON");
        if let Err(error) = write_whole(&self.options.state, &text) {
            let path = self.options.state.display();
            self.complain(format!("cannot write {path}: {error}"));
        }
    }

    /// Says what is wrong, and says it once while it stays the same.
    fn complain(&mut self, what: String) {
        if self.complaint != what {
            (self.log)(what.clone());
            self.complaint = what;
        }
    }
}
