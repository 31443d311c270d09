//! The API servers, what is known of each, and which one is next.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slipway_api::{BackendHealth, BalancerBackend};
use tokio_util::sync::CancellationToken;

/// After so many failures in a row a backend's connections are cut, if another
/// backend is ready. One may be an answer that was late.
const CUT_AFTER: u32 = 2;

/// The API servers. Shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    backends: Vec<Backend>,
    /// Counts connections, so that they go to the ready ones in turn.
    turn: usize,
}

#[derive(Debug)]
struct Backend {
    address: SocketAddr,
    health: BackendHealth,
    reason: Option<String>,
    failures: u32,
    /// Cancelled when the connections through this backend shall end.
    connections: CancellationToken,
}

/// What came of asking an API server whether it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ready,
    NotReady(String),
    Unreachable(String),
}

/// Somewhere to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub address: SocketAddr,
    /// Ends when connections to it shall end.
    pub cut: CancellationToken,
}

impl Backends {
    /// Makes `addresses` the backends: who is among them already stays what it
    /// is, connections to the others are cut. Returns whether that changed anything.
    pub(crate) fn set(&self, addresses: &[SocketAddr]) -> bool {
        let mut table = self.lock();
        let before = table.addresses();
        table.backends.retain(|backend| {
            let stays = addresses.contains(&backend.address);
            if !stays {
                backend.connections.cancel();
            }
            stays
        });
        for &address in addresses {
            if table.backends.iter().all(|known| known.address != address) {
                table.backends.push(Backend::new(address));
            }
        }
        table.backends.sort_by_key(|backend| backend.address);
        before != table.addresses()
    }

    /// Notes what `address` answered. Returns a sentence where that changes what
    /// is thought of it.
    pub(crate) fn note(&self, address: SocketAddr, answer: Answer) -> Option<String> {
        let mut table = self.lock();
        let backend = table.backends.iter_mut().find(|b| b.address == address)?;
        let before = backend.health;
        let (health, reason) = match answer {
            Answer::Ready => (BackendHealth::Ready, None),
            Answer::NotReady(reason) => (BackendHealth::NotReady, Some(reason)),
            Answer::Unreachable(reason) => (BackendHealth::Unreachable, Some(reason)),
        };
        backend.failures = if reason.is_none() {
            0
        } else {
            backend.failures.saturating_add(1)
        };
        backend.health = health;
        backend.reason.clone_from(&reason);
        table.cut_the_failed();
        (before != health).then(|| match reason {
            None => format!("{address} is ready"),
            Some(reason) => format!("{address} is {}: {reason}", said(health)),
        })
    }

    /// Returns whom to try for a new connection, best first: the ready ones in
    /// turn, then those nobody knows anything of, then the rest, the one that
    /// failed least first, since they may have come back this moment.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let mut table = self.lock();
        table.turn = table.turn.wrapping_add(1);
        let turn = table.turn;
        let mut sorted: Vec<&mut Backend> = table.backends.iter_mut().collect();
        let rank = |backend: &Backend| (backend.health, backend.failures);
        sorted.sort_by_key(|backend| rank(backend));
        if let Some(best) = sorted.first().map(|backend| rank(backend)) {
            let equal = sorted.partition_point(|backend| rank(backend) == best);
            sorted[..equal].rotate_left(turn % equal);
            if best.0 != BackendHealth::Ready {
                // Whoever is tried although it failed gets its chance.
                for backend in &mut sorted {
                    backend.renew_if_cut();
                }
            }
        }
        sorted
            .into_iter()
            .map(|backend| Candidate {
                address: backend.address,
                cut: backend.connections.clone(),
            })
            .collect()
    }

    /// Returns the addresses, sorted.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().addresses()
    }

    /// Returns those that are ready.
    pub(crate) fn ready(&self) -> Vec<SocketAddr> {
        let table = self.lock();
        let ready = table.backends.iter();
        ready
            .filter(|backend| backend.health == BackendHealth::Ready)
            .map(|backend| backend.address)
            .collect()
    }

    /// Returns what is thought of each.
    pub(crate) fn report(&self) -> Vec<BalancerBackend> {
        let table = self.lock();
        let report = table.backends.iter().map(|backend| BalancerBackend {
            address: backend.address,
            health: backend.health,
            reason: backend.reason.clone(),
        });
        report.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing here panics half-way through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.backends.iter().map(|b| b.address).collect()
    }

    /// Ends the connections of backends that failed repeatedly: to a crashed
    /// host they would hang until TCP gives up, many minutes later. Where no
    /// other backend is ready, a slow one is better than none.
    fn cut_the_failed(&mut self) {
        let is_ready = |b: &Backend| b.health == BackendHealth::Ready;
        if !self.backends.iter().any(is_ready) {
            return;
        }
        for backend in &mut self.backends {
            if backend.failures >= CUT_AFTER {
                backend.connections.cancel();
            } else if is_ready(backend) {
                backend.renew_if_cut();
            }
        }
    }
}

impl Backend {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            health: BackendHealth::Unknown,
            reason: None,
            failures: 0,
            connections: CancellationToken::new(),
        }
    }

    /// Lets new connections live, after the old ones were cut.
    fn renew_if_cut(&mut self) {
        if self.connections.is_cancelled() {
            self.connections = CancellationToken::new();
        }
    }
}

fn said(health: BackendHealth) -> &'static str {
    match health {
        BackendHealth::Ready => "ready",
        BackendHealth::Unknown => "unknown",
        BackendHealth::NotReady => "not ready",
        BackendHealth::Unreachable => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 6443))
    }

    fn backends(count: u8) -> Backends {
        let backends = Backends::default();
        let all: Vec<_> = (1..=count).map(address).collect();
        assert!(backends.set(&all));
        backends
    }

    fn unreachable() -> Answer {
        Answer::Unreachable("connection refused".to_owned())
    }

    fn first(backends: &Backends) -> SocketAddr {
        backends.candidates()[0].address
    }

    #[test]
    fn ready_backends_take_turns_and_the_others_come_last() {
        let backends = backends(3);
        backends.note(address(1), Answer::Ready);
        backends.note(address(2), unreachable());
        backends.note(address(3), Answer::Ready);
        let firsts = [first(&backends), first(&backends), first(&backends)];
        assert_eq!(firsts[0], firsts[2]);
        assert_ne!(firsts[0], firsts[1]);
        assert!(!firsts.contains(&address(2)));
        assert_eq!(backends.candidates()[2].address, address(2));
    }

    #[test]
    fn one_late_answer_cuts_nothing_and_two_cut() {
        let backends = backends(2);
        backends.note(address(1), Answer::Ready);
        backends.note(address(2), Answer::Ready);
        let through = backends.candidates();
        let through = through.iter().find(|c| c.address == address(2)).unwrap();
        backends.note(address(2), unreachable());
        assert!(!through.cut.is_cancelled());
        backends.note(address(2), unreachable());
        assert!(through.cut.is_cancelled());
    }

    #[test]
    fn the_last_backend_keeps_its_connections_until_another_is_ready() {
        let backends = backends(2);
        backends.note(address(1), unreachable());
        let through = backends.candidates();
        let slow = Answer::NotReady("etcd failed".to_owned());
        for _ in 0..5 {
            backends.note(address(2), slow.clone());
        }
        assert!(through.iter().all(|c| !c.cut.is_cancelled()));
        backends.note(address(1), Answer::Ready);
        let cut = |last| {
            let found = through.iter().find(|c| c.address == address(last));
            found.unwrap().cut.is_cancelled()
        };
        assert!(cut(2));
        assert!(!cut(1));
    }

    #[test]
    fn where_none_is_ready_the_one_that_failed_least_is_tried_and_not_cut_at_once() {
        let backends = backends(2);
        backends.note(address(2), Answer::Ready);
        for _ in 0..3 {
            backends.note(address(1), unreachable());
        }
        backends.note(address(2), unreachable());
        let candidates = backends.candidates();
        let order: Vec<_> = candidates.iter().map(|c| c.address).collect();
        assert_eq!(order, [address(2), address(1)]);
        assert!(candidates.iter().all(|c| !c.cut.is_cancelled()));
    }

    #[test]
    fn a_backend_that_comes_back_takes_connections_that_stay() {
        let backends = backends(2);
        backends.note(address(1), Answer::Ready);
        backends.note(address(2), unreachable());
        backends.note(address(2), unreachable());
        backends.note(address(2), Answer::Ready);
        assert!(backends.candidates().iter().all(|c| !c.cut.is_cancelled()));
    }

    #[test]
    fn who_is_no_longer_a_member_loses_its_connections() {
        let backends = backends(2);
        let through = backends.candidates();
        assert!(backends.set(&[address(2), address(3)]));
        assert!(!backends.set(&[address(3), address(2)]));
        for candidate in through {
            assert_eq!(
                candidate.cut.is_cancelled(),
                candidate.address == address(1)
            );
        }
        assert_eq!(backends.addresses(), [address(2), address(3)]);
    }

    #[test]
    fn only_changes_of_mind_are_told() {
        let backends = backends(1);
        let told = backends.note(address(1), Answer::Ready);
        assert_eq!(told.as_deref(), Some("192.0.2.1:6443 is ready"));
        assert_eq!(backends.note(address(1), Answer::Ready), None);
        let told = backends.note(address(1), unreachable());
        assert_eq!(
            told.as_deref(),
            Some("192.0.2.1:6443 is unreachable: connection refused")
        );
        assert_eq!(backends.note(address(9), Answer::Ready), None);
    }
}
