//! Ports that are open while other hosts try to reach them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use slipway_api::{Arrival, ListenerState, ProbeListener, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::{GREETING, datagrams};

/// How many connections one port answers at once; more are closed unanswered.
const MAX_GUESTS: usize = 512;

/// How many arrivals are remembered: more than hosts times sizes, less than memory.
const MAX_ARRIVALS: usize = 100_000;

/// How long is waited between two looks at what came in the end.
const LOOK: Duration = Duration::from_millis(40);

/// After so many looks without anything new the ports close.
const QUIET_LOOKS: usize = 3;

/// After so many looks they close in any case.
const LONGEST_LOOKS: usize = 50;

/// How long a guest may take to close its end.
const GUEST_LIMIT: Duration = Duration::from_secs(3);

/// Open ports. They close when the value is dropped, so with the channel that
/// asked for them, or at their bound.
pub(crate) struct OpenListeners {
    _tasks: JoinSet<()>,
    arrivals: Arc<Mutex<BTreeSet<Arrival>>>,
}

impl OpenListeners {
    /// Opens ports for at most `bound`; returns what became of each, in their order.
    pub async fn open(
        listeners: &[ProbeListener],
        nonce: &str,
        bound: Duration,
    ) -> (Self, Vec<ListenerState>) {
        let arrivals = Arc::default();
        let mut tasks = JoinSet::new();
        let mut states = Vec::new();
        for listener in listeners {
            let address = (listener.address, listener.port);
            let opened = match listener.transport {
                Transport::Tcp => TcpListener::bind(address).await.map(|socket| {
                    let answering = answer(socket, greeting(nonce).into());
                    tasks.spawn(async move { drop(tokio::time::timeout(bound, answering).await) });
                }),
                Transport::Udp => UdpSocket::bind(address).await.map(|socket| {
                    let noting = note(socket, nonce.to_owned(), Arc::clone(&arrivals));
                    tasks.spawn(async move { drop(tokio::time::timeout(bound, noting).await) });
                }),
            };
            states.push(match opened {
                Ok(()) => ListenerState::Open,
                Err(error) if error.kind() == ErrorKind::AddrInUse => ListenerState::Taken,
                Err(error) => ListenerState::Failed {
                    reason: error.to_string(),
                },
            });
        }
        let open = Self {
            _tasks: tasks,
            arrivals,
        };
        (open, states)
    }

    /// Closes the ports once nothing new comes, and returns the datagrams that came.
    ///
    /// On a busy host they may lie in the sockets' queues, with nobody to take them out.
    pub async fn close(self) -> Vec<Arrival> {
        let (mut before, mut quiet) = (usize::MAX, 0);
        for _ in 0..LONGEST_LOOKS {
            tokio::time::sleep(LOOK).await;
            let now = lock(&self.arrivals).len();
            quiet = if now == before { quiet + 1 } else { 0 };
            if quiet == QUIET_LOOKS {
                break;
            }
            before = now;
        }
        let mut arrivals = lock(&self.arrivals);
        std::mem::take(&mut *arrivals).into_iter().collect()
    }
}

/// Returns what a TCP listener says to everybody who connects.
pub(super) fn greeting(nonce: &str) -> String {
    format!("{GREETING} {nonce}\n")
}

async fn answer(socket: TcpListener, greeting: Arc<str>) {
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((guest, _)) if guests.len() < MAX_GUESTS => {
                    guests.spawn(greet(guest, Arc::clone(&greeting)));
                }
                Ok(_) => {}
                // Out of descriptors, for example: those of guests come back soon.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
        }
    }
}

/// Says hello and waits until the guest has closed: who closes first keeps the
/// port busy for a minute, and here a component of Kubernetes wants it soon.
async fn greet(mut guest: TcpStream, greeting: Arc<str>) {
    let greeted = async {
        guest.write_all(greeting.as_bytes()).await?;
        let mut rest = [0; 64];
        while guest.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(GUEST_LIMIT, greeted).await;
}

/// Notes every datagram of this probe.
async fn note(socket: UdpSocket, nonce: String, arrivals: Arc<Mutex<BTreeSet<Arrival>>>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let size = datagrams::whole_size(length, from.is_ipv6());
        let Some(arrival) = datagrams::parse(&buffer[..length], &nonce, size) else {
            continue;
        };
        let mut arrivals = lock(&arrivals);
        if arrivals.len() < MAX_ARRIVALS {
            arrivals.insert(arrival);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds the lock, and a set is whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
