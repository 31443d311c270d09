//! Connecting to a TCP port of another host.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use slipway_api::ProbeOutcome;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// How long a connection may take: the kernel's second try comes after one
/// second, its third after three.
const CONNECT_LIMIT: Duration = Duration::from_millis(3500);

/// How long the greeting may take.
const GREETING_LIMIT: Duration = Duration::from_secs(2);

/// Connects, and reads `greeting` where one is expected.
pub(super) async fn connect(address: SocketAddr, greeting: Option<&str>) -> ProbeOutcome {
    let connecting = TcpStream::connect(address);
    let mut stream = match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return outcome_of(&error),
        Err(_) => return ProbeOutcome::TimedOut,
    };
    let Some(greeting) = greeting else {
        return ProbeOutcome::Reached;
    };
    let mut heard = vec![0; greeting.len()];
    let hearing = stream.read_exact(&mut heard);
    match tokio::time::timeout(GREETING_LIMIT, hearing).await {
        Ok(Ok(_)) if heard == greeting.as_bytes() => ProbeOutcome::Reached,
        Ok(_) | Err(_) => ProbeOutcome::Stranger,
    }
}

/// Returns the outcome of a connection that failed.
pub(super) fn outcome_of(error: &std::io::Error) -> ProbeOutcome {
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        ProbeOutcome::Refused
    } else if kind == ErrorKind::TimedOut {
        ProbeOutcome::TimedOut
    } else {
        ProbeOutcome::Failed {
            reason: error.to_string(),
        }
    }
}
