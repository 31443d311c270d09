//! Links, routes and listening ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use ipnet::IpNet;
use slipway_api::{Link, Listener, Route};
use sysinfo::Networks;

use crate::server::under;

/// The hardware address of links that have none.
const NO_MAC: &str = "00:00:00:00:00:00";

/// The state of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// The kernel's flag of a route that refuses packets (`RTF_REJECT`).
const REJECTS: u32 = 0x0200;

/// The kernel's flags of IPv6 routes that nobody set: an own address
/// (`RTF_LOCAL`), a cached entry (`RTF_CACHE`).
const NOT_SET: u32 = 0x8000_0000 | 0x0100_0000;

/// Somewhere far away (RFC 5737, TEST-NET-1): the kernel says from which
/// address it would be reached, and nothing is sent.
const FAR_AWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// Returns all links but loopback.
pub(super) fn gather_links(root: &Path) -> Vec<Link> {
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
            kind: link_kind(root, &name.to_string_lossy()),
        })
        .collect();
    // Both come out of hash tables: the same host must give the same facts.
    links.sort_by(|a, b| a.name.cmp(&b.name));
    links.iter_mut().for_each(|link| link.addresses.sort());
    links
}

/// Returns the address that the kernel itself would use on the default route.
pub(super) fn gather_default_address(links: &[Link], interface: Option<&str>) -> Option<IpAddr> {
    let preferred = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(FAR_AWAY).and_then(|()| socket.local_addr()));
    let preferred = preferred.ok().map(|address| address.ip());
    choose_default_address(links, interface?, preferred)
}

/// Returns the `preferred` address if the link `interface` has it, else that
/// link's lowest IPv4 address that others can reach.
fn choose_default_address(
    links: &[Link],
    interface: &str,
    preferred: Option<IpAddr>,
) -> Option<IpAddr> {
    let link = links.iter().find(|link| link.name == interface)?;
    let is_reachable = |address: &&IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_loopback() && !v4.is_unspecified(),
        IpAddr::V6(_) => false,
    };
    // A route to the far address of its own would lead elsewhere.
    let preferred = preferred.filter(|address| link.addresses.contains(address));
    preferred.or_else(|| link.addresses.iter().find(is_reachable).copied())
}

/// Returns what the kernel says a link is; nothing for ordinary ones.
fn link_kind(root: &Path, name: &str) -> Option<String> {
    let path = under(root, "/sys/class/net").join(name).join("uevent");
    let text = std::fs::read_to_string(path).ok()?;
    let kind = text.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    kind.map(str::to_owned)
}

/// Returns the routes of the main table, IPv4 and IPv6.
pub(super) fn gather_routes(root: &Path) -> Vec<Route> {
    let read = |path: &str| std::fs::read_to_string(under(root, path)).unwrap_or_default();
    let mut routes = parse_routes(&read("/proc/net/route"));
    routes.extend(parse_ipv6_routes(&read("/proc/net/ipv6_route")));
    routes.sort();
    routes.dedup();
    routes
}

/// Returns the link of the first IPv4 default route.
pub(super) fn default_link(routes: &[Route]) -> Option<String> {
    let is_default =
        |route: &&Route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4();
    routes
        .iter()
        .find(is_default)
        .map(|route| route.link.clone())
}

/// Parses /proc/net/route, whose addresses are hexadecimal in host byte order.
fn parse_routes(text: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [link, destination, _, flags, _, _, _, mask, ..] = fields[..] else {
            return None;
        };
        let number = |hex: &str| u32::from_str_radix(hex, 16).ok();
        let address = |hex: &str| Some(Ipv4Addr::from(number(hex)?.to_ne_bytes()));
        if number(flags)? & REJECTS != 0 {
            return None;
        }
        let length = u32::from(address(mask)?).leading_ones();
        named_route(link, address(destination)?.into(), length)
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// Parses /proc/net/ipv6_route: no heading, addresses hexadecimal in network
/// byte order. Routes of multicast and of links themselves are left out.
fn parse_ipv6_routes(text: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [destination, length, _, _, _, _, _, _, flags, link] = fields[..] else {
            return None;
        };
        let destination = Ipv6Addr::from(u128::from_str_radix(destination, 16).ok()?);
        let length = u32::from_str_radix(length, 16).ok()?;
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let is_link_s = destination.is_multicast() || destination.is_unicast_link_local();
        if link == "lo" || is_link_s || flags & (REJECTS | NOT_SET) != 0 {
            return None;
        }
        named_route(link, destination.into(), length)
    };
    text.lines().filter_map(route).collect()
}

fn named_route(link: &str, destination: IpAddr, length: u32) -> Option<Route> {
    Some(Route {
        destination: IpNet::new(destination, u8::try_from(length).ok()?).ok()?,
        link: link.to_owned(),
    })
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

    fn shown(routes: &[Route]) -> Vec<String> {
        let route = |route: &Route| format!("{} {}", route.destination, route.link);
        routes.iter().map(route).collect()
    }

    #[test]
    fn routes_are_read_from_the_kernel_s_table_without_those_that_refuse() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0100004D\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                    *\t0000A8C0\t00000000\t0200\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let routes = parse_routes(text);
        assert_eq!(shown(&routes), ["0.0.0.0/0 eth0", "10.77.0.0/24 eth0"]);
        assert_eq!(default_link(&routes).as_deref(), Some("eth0"));
    }

    #[test]
    fn ipv6_routes_are_those_that_somebody_set() {
        let line = |destination: &str, length: &str, flags: &str, link: &str| {
            let none = "0".repeat(32);
            format!(
                "{destination} {length} {none} 00 {none} 00000400 00000001 00000000 {flags} {link}\n"
            )
        };
        let text = [
            line("fd000000000000000000000000000000", "40", "00000001", "eth0"),
            line("fd000000000000000000000000000007", "80", "80200001", "eth0"),
            line("fe800000000000000000000000000000", "40", "00000001", "eth0"),
            line("ff000000000000000000000000000000", "08", "00000001", "eth0"),
            line(&"0".repeat(32), "00", "00000003", "eth0"),
            line(&"0".repeat(32), "00", "00200200", "lo"),
        ]
        .concat();
        let routes = parse_ipv6_routes(&text);
        assert_eq!(shown(&routes), ["fd00::/64 eth0", "::/0 eth0"]);
        assert_eq!(default_link(&routes), None);
    }

    #[test]
    fn a_link_s_kind_is_the_kernel_s_word() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("sys/class/net/flannel.1");
        std::fs::create_dir_all(&link).unwrap();
        let text = "DEVTYPE=vxlan\nINTERFACE=flannel.1\nIFINDEX=4\n";
        std::fs::write(link.join("uevent"), text).unwrap();
        let kind = link_kind(folder.path(), "flannel.1");
        assert_eq!(kind.as_deref(), Some("vxlan"));
        assert_eq!(link_kind(folder.path(), "eth0"), None);
    }

    #[test]
    fn the_default_address_is_on_the_interface_of_the_default_route() {
        let link = |name: &str, addresses: &[&str]| Link {
            name: name.to_owned(),
            mac: None,
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
            mtu: 1500,
            kind: None,
        };
        let links = [
            link(
                "eth0",
                &["169.254.7.7", "192.0.2.11", "192.0.2.12", "fe80::1"],
            ),
            link("eth1", &["198.51.100.1"]),
        ];
        let choose = |interface, preferred: Option<&str>| {
            let preferred = preferred.map(|it| it.parse().unwrap());
            choose_default_address(&links, interface, preferred).map(|it| it.to_string())
        };
        assert_eq!(choose("eth0", Some("192.0.2.12")).unwrap(), "192.0.2.12");
        assert_eq!(choose("eth0", Some("198.51.100.1")).unwrap(), "192.0.2.11");
        assert_eq!(choose("eth0", None).unwrap(), "192.0.2.11");
        assert_eq!(choose("eth2", None), None);
    }

    #[test]
    fn only_listening_sockets_count() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                    0: 0100007F:1A0B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n\
                    1: 0100007F:1A0C 00000000:0000 01 00000000:00000000 00:00000000 00000000 0 0 78 1\n";
        assert_eq!(parse_listening(text), [(6667, "77".to_owned())]);
    }
}
