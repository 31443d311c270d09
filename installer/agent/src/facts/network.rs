//! Links, routes and listening ports.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use slipway_api::{Link, Listener};
use sysinfo::Networks;

/// The hardware address of links that have none.
const NO_MAC: &str = "00:00:00:00:00:00";

/// The state of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// Returns all links but loopback.
pub(super) fn gather_links() -> Vec<Link> {
    let Ok(networks) = Networks::new_with_refreshed_list() else {
        return Vec::new();
    };
    let mut links: Vec<Link> = networks
        .iter()
        .filter(|(name, _)| *name != "lo")
        .map(|(name, data)| Link {
            name: name.to_string_lossy().into_owned(),
            mac: Some(data.mac_address().to_string()).filter(|mac| mac != NO_MAC),
            addresses: data
                .ip_networks()
                .iter()
                .map(|network| network.addr)
                .collect(),
            mtu: u32::try_from(data.mtu()).unwrap_or(u32::MAX),
        })
        .collect();
    links.sort_by(|a, b| a.name.cmp(&b.name));
    links
}

/// The IPv4 routes of the main table.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Routes {
    /// The interface of the default route.
    pub default_interface: Option<String>,
    /// All destinations, as networks.
    pub destinations: Vec<String>,
}

/// Parses /proc/net/route, whose addresses are hexadecimal in host byte order.
pub(super) fn parse_routes(text: &str) -> Routes {
    let mut routes = Routes::default();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [interface, destination, _, _, _, _, _, mask, ..] = fields[..] else {
            continue;
        };
        let address = |hex: &str| {
            u32::from_str_radix(hex, 16)
                .ok()
                .map(|raw| Ipv4Addr::from(raw.to_ne_bytes()))
        };
        let (Some(destination), Some(mask)) = (address(destination), address(mask)) else {
            continue;
        };
        let length = u32::from(mask).leading_ones();
        if length == 0 && routes.default_interface.is_none() {
            routes.default_interface = Some(interface.to_owned());
        }
        routes.destinations.push(format!("{destination}/{length}"));
    }
    routes
}

/// Returns the TCP sockets that listen, by port.
pub(super) fn gather_listening() -> Vec<Listener> {
    let mut sockets = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        sockets.extend(parse_listening(
            &std::fs::read_to_string(file).unwrap_or_default(),
        ));
    }
    let programs = programs_by_socket();
    let mut listening: Vec<Listener> = sockets
        .into_iter()
        .map(|(port, inode)| Listener {
            port,
            program: programs.get(&inode).cloned(),
        })
        .collect();
    listening.sort();
    listening.dedup_by_key(|listener| listener.port);
    listening
}

/// Returns port and inode of every listening socket.
fn parse_listening(text: &str) -> Vec<(u16, String)> {
    let socket = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let port = fields.get(1)?.rsplit_once(':')?.1;
        let port = u16::from_str_radix(port, 16).ok()?;
        (*fields.get(3)? == LISTEN).then(|| (port, fields.get(9).copied().unwrap_or("").to_owned()))
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// Returns the program that holds each socket, by the socket's inode.
fn programs_by_socket() -> BTreeMap<String, String> {
    let mut programs = BTreeMap::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        if !process
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|b| b.is_ascii_digit())
        {
            continue;
        }
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let descriptors = std::fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for descriptor in descriptors {
            let Ok(target) = std::fs::read_link(descriptor.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            if let Some(inode) = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
            {
                programs.insert(inode.to_owned(), name.trim().to_owned());
            }
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_from_the_kernel_s_table() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0100004D\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let routes = parse_routes(text);
        assert_eq!(routes.default_interface.as_deref(), Some("eth0"));
        assert_eq!(routes.destinations, ["0.0.0.0/0", "10.77.0.0/24"]);
    }

    #[test]
    fn only_listening_sockets_count() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                    0: 0100007F:1A0B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n\
                    1: 0100007F:1A0C 00000000:0000 01 00000000:00000000 00:00000000 00000000 0 0 78 1\n";
        assert_eq!(parse_listening(text), [(6667, "77".to_owned())]);
    }
}
