//! Datagrams that say who sent them, in sizes that show how large the path's packets may be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use slipway_api::{Arrival, HostName, ProbeOutcome};
use tokio::net::UdpSocket;

use super::GREETING;

/// How long is waited before each copy: networks may lose one datagram, and a busy
/// host all that come while its program has no turn, hardly four over half a second.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(30),
    Duration::from_millis(120),
    Duration::from_millis(400),
];

/// The bytes of the headers of IP and UDP.
const fn header_size(is_ipv6: bool) -> usize {
    if is_ipv6 { 48 } else { 28 }
}

/// Returns the size on the wire of a datagram with `length` bytes inside.
pub(super) fn whole_size(length: usize, is_ipv6: bool) -> u32 {
    u32::try_from(length + header_size(is_ipv6)).unwrap_or(u32::MAX)
}

/// Returns what every datagram of a host begins with.
pub(super) fn text(nonce: &str, from: &HostName) -> String {
    format!("{GREETING} {nonce} {from}\n")
}

/// Returns the sender of a datagram, if it belongs to the probe `nonce`.
pub(super) fn parse(datagram: &[u8], nonce: &str, size: u32) -> Option<Arrival> {
    let line = datagram.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix(GREETING)?.strip_prefix(' ')?;
    let name = rest.strip_prefix(nonce)?.strip_prefix(' ')?;
    let from = name.parse().ok()?;
    Some(Arrival { from, size })
}

/// Sends datagrams of each size, four times, forbidding that they are taken apart.
pub(super) async fn send(to: SocketAddr, text: &str, sizes: &[u32]) -> ProbeOutcome {
    let socket = match open(to).await {
        Ok(socket) => socket,
        Err(error) => {
            return ProbeOutcome::Failed {
                reason: error.to_string(),
            };
        }
    };
    let mut failures: Vec<(u32, String)> = Vec::new();
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        for size in sizes {
            let mut content = text.as_bytes().to_vec();
            let length = (*size as usize).saturating_sub(header_size(to.is_ipv6()));
            content.resize(length.max(content.len()), 0);
            let sent = socket.send_to(&content, to).await;
            let is_told = failures.iter().any(|(told, _)| told == size);
            if let Err(error) = sent
                && !is_told
            {
                failures.push((*size, error.to_string()));
            }
        }
    }
    ProbeOutcome::Sent { failures }
}

async fn open(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // "Probe" sets the flag and ignores what the kernel remembers of the path.
    match to {
        SocketAddr::V4(_) => set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::PROBE)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_datagrams_of_this_probe_count() {
        let from: HostName = "w-1".parse().unwrap();
        let mut datagram = text("n-1", &from).into_bytes();
        datagram.resize(200, 0);
        let arrival = Arrival { from, size: 228 };
        assert_eq!(parse(&datagram, "n-1", 228), Some(arrival));
        assert_eq!(parse(&datagram, "n-2", 228), None);
        assert_eq!(parse(b"\x16\x03\x01", "n-1", 31), None);
        assert_eq!(parse(b"slipway-probe n-1 not a name\n", "n-1", 60), None);
    }
}
