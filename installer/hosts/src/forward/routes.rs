//! What is thought of each host, and through which one connections go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::forward_change::ForwardChange;
use crate::ssh::SshConnection;

/// After so many failures in a row a host's connections are cut, if another host serves. One may
/// be an answer that was late.
const CUT_AFTER: u32 = 2;

/// Receives changes; it must not block.
pub(super) type ChangeSink = Box<dyn Fn(ForwardChange) + Send + Sync>;

/// The hosts of a forward. Shared by its connections.
pub(super) struct Routes {
    table: Mutex<Table>,
    /// Counts changes, for those who wait for one.
    changes: watch::Sender<u64>,
    on_change: ChangeSink,
}

struct Table {
    routes: Vec<Route>,
    /// Stays where it is for as long as its host serves: a host that comes back moves nobody.
    current: Option<usize>,
    is_nowhere: bool,
}

struct Route {
    host: String,
    state: State,
    failures: u32,
    /// Cancelled when the connections through this host shall end.
    cut: CancellationToken,
}

enum State {
    Untried,
    Serves(Arc<SshConnection>),
    Failed(String),
}

/// A host to go through.
pub(super) struct Candidate {
    pub(super) index: usize,
    pub(super) connection: Arc<SshConnection>,
    /// Ends when connections through the host shall end.
    pub(super) cut: CancellationToken,
}

impl Routes {
    pub(super) fn new(hosts: impl IntoIterator<Item = String>, on_change: ChangeSink) -> Self {
        let routes = hosts.into_iter().map(|host| Route {
            host,
            state: State::Untried,
            failures: 0,
            cut: CancellationToken::new(),
        });
        let table = Table {
            routes: routes.collect(),
            current: None,
            is_nowhere: false,
        };
        Self {
            table: Mutex::new(table),
            changes: watch::Sender::new(0),
            on_change,
        }
    }

    /// Notes that the service beside a host answers as it should.
    pub(super) fn note_serving(&self, index: usize, connection: &Arc<SshConnection>) {
        let mut table = self.lock();
        if let Some(route) = table.routes.get_mut(index) {
            route.state = State::Serves(Arc::clone(connection));
            route.failures = 0;
        }
        let told = table.choose();
        self.tell(table, told);
    }

    /// Notes that a host does not serve. Connections through it end with the second failure,
    /// where they could go another way.
    pub(super) fn note_failure(&self, index: usize, reason: String) {
        let mut table = self.lock();
        let mut told = Vec::new();
        if let Some(route) = table.routes.get_mut(index) {
            route.failures = route.failures.saturating_add(1);
            let is_new = !matches!(&route.state, State::Failed(_));
            route.state = State::Failed(reason.clone());
            if is_new {
                let host = route.host.clone();
                told.push(ForwardChange::Failed { host, reason });
            }
        }
        table.cut_the_failed();
        told.extend(table.choose());
        self.tell(table, told);
    }

    /// Ends the connections through a host whose SSH connection is gone.
    pub(super) fn cut(&self, index: usize) {
        if let Some(route) = self.lock().routes.get_mut(index) {
            route.renew_cut();
        }
    }

    /// Returns the hosts that serve, the current one first.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let table = self.lock();
        let mut found: Vec<Candidate> = table
            .routes
            .iter()
            .enumerate()
            .filter_map(|(index, route)| {
                Some(Candidate {
                    index,
                    connection: Arc::clone(route.connection()?),
                    cut: route.cut.clone(),
                })
            })
            .collect();
        found.sort_by_key(|candidate| Some(candidate.index) != table.current);
        found
    }

    /// Returns what hears of changes; those until now count as heard.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns each host with its failure once all have failed.
    pub(super) fn all_failures(&self) -> Option<Vec<(String, String)>> {
        let table = self.lock();
        let failure = |route: &Route| match &route.state {
            State::Failed(reason) => Some((route.host.clone(), reason.clone())),
            State::Untried | State::Serves(_) => None,
        };
        table.routes.iter().map(failure).collect()
    }

    fn tell(&self, table: MutexGuard<'_, Table>, told: Vec<ForwardChange>) {
        drop(table);
        self.changes.send_modify(|count| *count += 1);
        for change in told {
            (self.on_change)(change);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Finds the host that new connections go through, and says so where it is another.
    fn choose(&mut self) -> Vec<ForwardChange> {
        let current = self.current.and_then(|index| self.routes.get(index));
        if current.is_some_and(|route| route.connection().is_some()) {
            return Vec::new();
        }
        let serving = |route: &Route| route.connection().is_some();
        self.current = self.routes.iter().position(serving);
        match self.current {
            Some(index) => {
                self.is_nowhere = false;
                let host = self.routes[index].host.clone();
                vec![ForwardChange::Through { host }]
            }
            None => {
                let failed = |route: &Route| matches!(route.state, State::Failed(_));
                if self.is_nowhere || !self.routes.iter().all(failed) {
                    return Vec::new();
                }
                self.is_nowhere = true;
                vec![ForwardChange::Nowhere]
            }
        }
    }

    fn cut_the_failed(&mut self) {
        if self.routes.iter().all(|route| route.connection().is_none()) {
            return;
        }
        for route in &mut self.routes {
            if route.connection().is_none() && route.failures >= CUT_AFTER {
                route.renew_cut();
            }
        }
    }
}

impl Route {
    fn connection(&self) -> Option<&Arc<SshConnection>> {
        match &self.state {
            State::Serves(connection) => Some(connection),
            State::Untried | State::Failed(_) => None,
        }
    }

    fn renew_cut(&mut self) {
        self.cut.cancel();
        self.cut = CancellationToken::new();
    }
}
