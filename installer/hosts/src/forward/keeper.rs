//! Keeps one host of a forward connected, and what is thought of it true.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::forwarding::ForwardProbe;
use super::routes::Routes;
use crate::ssh::{SshConnection, SshError, SshPool, SshTarget};

/// How long a host may take to open a way, and the service to answer on it.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// How much later than the host before it each host begins, so that usually the first serves first.
const HEAD_START: Duration = Duration::from_millis(300);

/// How often a service is asked whether it serves.
const PROBE_PERIOD: Duration = Duration::from_secs(2);

/// The pause after a host could not be reached: first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// The pause after a host let nobody in. Hosts lock out those who knock too often.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// So often in a row may a host open no way before a new connection is tried.
const MAX_SILENCES: u32 = 2;

/// Connects to one host again and again, and asks what is beside it.
pub(super) struct Keeper {
    pub(super) index: usize,
    pub(super) target: SshTarget,
    pub(super) pool: SshPool,
    pub(super) destination: SocketAddr,
    pub(super) probe: ForwardProbe,
    pub(super) routes: Arc<Routes>,
}

/// What came of asking.
enum Answer {
    Serves,
    /// The host answers, the service does not.
    Fails(String),
    /// The host says nothing.
    Silent,
    /// The connection to the host has ended.
    Lost(String),
}

impl Keeper {
    pub(super) async fn run(self) {
        sleep(HEAD_START.saturating_mul(u32::try_from(self.index).unwrap_or(u32::MAX))).await;
        let [first, longest] = PAUSES;
        let mut pause = first;
        loop {
            match self.pool.open(&self.target).await {
                Ok(connection) => {
                    pause = first;
                    self.watch(&Arc::new(connection)).await;
                    sleep(first).await;
                }
                Err(error) => {
                    self.routes
                        .note_failure(self.index, whole(&error, &self.target.host_name));
                    if is_worth_retrying(&error) {
                        sleep(pause).await;
                        pause = (pause * 2).min(longest);
                    } else {
                        sleep(REFUSED_PAUSE).await;
                    }
                }
            }
        }
    }

    /// Asks until the connection is of no use any more.
    async fn watch(&self, connection: &Arc<SshConnection>) {
        let mut silences = 0;
        loop {
            match self.ask(connection).await {
                Answer::Serves => {
                    silences = 0;
                    self.routes.note_serving(self.index, connection);
                }
                Answer::Fails(reason) => {
                    silences = 0;
                    self.routes.note_failure(self.index, reason);
                }
                Answer::Silent => {
                    silences += 1;
                    let limit = ANSWER_TIMEOUT.as_secs();
                    let reason = format!("no answer over SSH within {limit} s");
                    self.routes.note_failure(self.index, reason);
                    if silences >= MAX_SILENCES {
                        return self.routes.cut(self.index);
                    }
                }
                Answer::Lost(reason) => {
                    self.routes.note_failure(self.index, reason);
                    return self.routes.cut(self.index);
                }
            }
            sleep(PROBE_PERIOD).await;
        }
    }

    async fn ask(&self, connection: &SshConnection) -> Answer {
        let opened = timeout(ANSWER_TIMEOUT, connection.forward_to(self.destination)).await;
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if connection.is_closed() => {
                return Answer::Lost(whole(&error, &self.target.host_name));
            }
            Ok(Err(error)) => return Answer::Fails(whole(&error, &self.target.host_name)),
            Err(_) => return Answer::Silent,
        };
        match timeout(ANSWER_TIMEOUT, (self.probe)(stream)).await {
            Ok(Ok(())) => Answer::Serves,
            Ok(Err(reason)) => Answer::Fails(reason),
            Err(_) => Answer::Fails(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
        }
    }
}

/// Returns whether a host may let us in the next time, where nobody changes anything.
fn is_worth_retrying(error: &SshError) -> bool {
    if let SshError::Bastion { source, .. } = error {
        return is_worth_retrying(source);
    }
    error.is_unreachable()
}

/// Returns an error with its causes in one line, without the host's name in front.
pub(super) fn whole(error: &SshError, host: &str) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    match text.strip_prefix(&format!("{host}: ")) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
