//! IPVS virtual servers, as `/proc/net/ip_vs` lists them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VirtualServer {
    /// The option by which `ipvsadm` names its protocol.
    pub option: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Returns the virtual servers; those that go by a firewall mark are nobody's
/// that Kubernetes made, and are left out.
pub(crate) fn parse_virtual_servers(text: &str) -> Vec<VirtualServer> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<VirtualServer> {
    let mut words = line.split_whitespace();
    let option = match words.next()? {
        "TCP" => "--tcp-service",
        "UDP" => "--udp-service",
        "SCTP" => "--sctp-service",
        _ => return None,
    };
    let (address, port) = words.next()?.rsplit_once(':')?;
    let address = match address.strip_prefix('[') {
        Some(address) => IpAddr::V6(address.strip_suffix(']')?.parse().ok()?),
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).into(),
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(VirtualServer {
        option,
        address: SocketAddr::new(address, port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_both_families_are_read() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\n\
                    Prot LocalAddress:Port Scheduler Flags\n  \
                    -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                    TCP  0A600001:01BB rr\n  \
                    -> C000020B:192B      Masq    1      0          0\n\
                    UDP  [fd00:0000:0000:0000:0000:0000:0000:000a]:0035 rr\n\
                    FWM  00000001 wlc\n";
        let servers = parse_virtual_servers(text);
        let shown: Vec<_> = servers
            .iter()
            .map(|server| (server.option, server.address.to_string()))
            .collect();
        assert_eq!(
            shown,
            [
                ("--tcp-service", "10.96.0.1:443".to_owned()),
                ("--udp-service", "[fd00::a]:53".to_owned())
            ]
        );
    }
}
