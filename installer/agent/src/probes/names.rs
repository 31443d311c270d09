//! Names: whether the host's own programs know one, and whether a name server is alive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use slipway_api::ProbeOutcome;
use tokio::net::UdpSocket;

use super::connect::outcome_of;
use crate::command::glance;

/// The port of name servers.
pub(super) const DNS_PORT: u16 = 53;

/// How long resolving a name may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(4);

/// How long a name server may take to answer, and how often it is asked.
const ANSWER_LIMIT: Duration = Duration::from_millis(1500);
const TRIES: usize = 2;

/// Resolves a name with `getent`, which asks what every program of the host asks.
pub(super) async fn resolve(name: &str) -> ProbeOutcome {
    let addresses = addresses(name).await;
    ProbeOutcome::Resolved { addresses }
}

/// Returns the addresses of a name, each once.
pub(crate) async fn addresses(name: &str) -> Vec<IpAddr> {
    let text = glance("getent", &["ahosts", "--", name], RESOLVE_LIMIT).await;
    let mut addresses: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Asks for the root's name servers; whatever comes back, somebody is there.
pub(super) async fn ask(server: SocketAddr) -> ProbeOutcome {
    let asking = async {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(server).await?;
        let query = query(any_id());
        let mut answer = [0; 512];
        for _ in 0..TRIES {
            socket.send(&query).await?;
            let answered = tokio::time::timeout(ANSWER_LIMIT, socket.recv(&mut answer)).await;
            if let Ok(length) = answered
                && length? >= 12
                && answer[..2] == query[..2]
            {
                return Ok(ProbeOutcome::Answered);
            }
        }
        Ok(ProbeOutcome::TimedOut)
    };
    asking
        .await
        .unwrap_or_else(|error: std::io::Error| outcome_of(&error))
}

/// Returns the smallest query there is (RFC 1035, 4.1): a header that asks for
/// recursion and one question, the name servers (2) of the root, class IN (1).
fn query(id: u16) -> [u8; 17] {
    let [high, low] = id.to_be_bytes();
    [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
}

/// Tells a late answer to an earlier question apart; it guards no secret.
fn any_id() -> u16 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let [.., high, low] = now.unwrap_or_default().as_nanos().to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_known_and_nonsense_is_not() {
        let ProbeOutcome::Resolved { addresses } = resolve("localhost").await else {
            panic!("names are resolved");
        };
        assert!(addresses.iter().any(IpAddr::is_loopback), "{addresses:?}");
        let unknown = resolve("no-such-host.invalid").await;
        assert_eq!(unknown, ProbeOutcome::Resolved { addresses: vec![] });
    }

    #[tokio::test]
    async fn a_name_server_that_answers_anything_is_alive() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(length, 17);
            // Refused, as a server answers those it does not serve.
            buffer[2] = 0x81;
            buffer[3] = 0x05;
            server.send_to(&buffer[..length], from).await.unwrap();
        });
        assert_eq!(ask(address).await, ProbeOutcome::Answered);
        serving.await.unwrap();
        // Its port is closed now, and the kernel says so.
        assert_eq!(ask(address).await, ProbeOutcome::Refused);
    }
}
