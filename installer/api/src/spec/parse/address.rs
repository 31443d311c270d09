//! Addresses of hosts and of the API.

use std::net::{IpAddr, Ipv6Addr};

use super::names::{ends_in_number, is_dns_name, is_subdomain};
use super::problems::{Located, Problems, excerpt};
use super::value::Value;
use crate::spec::{Endpoint, defaults};

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    /// By an IP address.
    Ip(IpAddr),
    /// By a DNS name, lower case.
    Name(String),
}

/// Returns the IP address or DNS name in `value`.
pub(super) fn read_address(value: &Value<'_>, problems: &mut Problems) -> Option<Located<Address>> {
    let text = value.text(problems)?;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(value.located(Address::Ip(ip)));
    }
    if is_dns_name(text) {
        return Some(value.located(Address::Name(text.to_ascii_lowercase())));
    }
    let help = if text.contains("://") || text.contains('/') {
        "write the IP address or DNS name alone, without a scheme, path or prefix length"
    } else if text.contains('@') {
        "write the IP address or DNS name alone; the name before `@` goes into `user`"
    } else if text.contains('[') || text.matches(':').count() == 1 {
        "write the IP address or DNS name alone; the port goes into `port`"
    } else {
        "write an IP address such as `192.0.2.11`, or a DNS name"
    };
    let message = if ends_in_number(text) {
        format!("`{}` is not an IP address", shown(text))
    } else {
        format!("`{}` is neither an IP address nor a DNS name", shown(text))
    };
    problems.report(&value.place, message, help);
    None
}

/// Returns the IP address in `value`, or the two of a dual-stack node, which
/// must be such that a node can have.
///
/// Source of the rule: the kubelet's `validateNodeIP`.
pub(super) fn read_node_ips(
    value: &Value<'_>,
    problems: &mut Problems,
) -> Option<Vec<Located<IpAddr>>> {
    let text = value.text(problems)?;
    let mut ips: Vec<Located<IpAddr>> = Vec::new();
    for part in text.split(',').take(3) {
        let Ok(ip) = part.parse::<IpAddr>() else {
            problems.report(
                &value.place,
                format!("`{}` is not an IP address", shown(part)),
                "write the host's address in the cluster's network, such as `192.0.2.11`",
            );
            return None;
        };
        if let Some(reason) = no_node_ip(ip) {
            problems.report(
                &value.place,
                format!("`{ip}` cannot be a node's address: it is {reason}"),
                "write the address under which the other hosts reach this one",
            );
            return None;
        }
        ips.push(value.located(ip));
    }
    let is_pair = |ips: &[Located<IpAddr>]| {
        ips.len() == 2 && ips[0].value.is_ipv4() != ips[1].value.is_ipv4()
    };
    if ips.len() > 1 && !is_pair(&ips) {
        problems.report(
            &value.place,
            "a node has one address, or one of each IP family",
            "for dual stack write `internalAddress: 192.0.2.11,2001:db8::11`",
        );
        return None;
    }
    Some(ips)
}

/// Returns why `ip` cannot be a node's address.
pub(super) fn no_node_ip(ip: IpAddr) -> Option<&'static str> {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_loopback() {
        Some("a loopback address")
    } else if ip.is_unspecified() {
        Some("the unspecified address")
    } else if ip.is_multicast() {
        Some("a multicast address")
    } else if is_link_local {
        Some("a link-local address")
    } else {
        None
    }
}

/// Returns the `host[:port]` in `value`.
pub(super) fn read_endpoint(
    value: &Value<'_>,
    problems: &mut Problems,
) -> Option<Located<Endpoint>> {
    let text = value.text(problems)?;
    match parse_endpoint(text) {
        Ok(endpoint) => Some(value.located(endpoint)),
        Err(help) => {
            let message = format!("`{}` is not `host` or `host:port`", shown(text));
            problems.report(&value.place, message, help);
            None
        }
    }
}

fn parse_endpoint(text: &str) -> Result<Endpoint, &'static str> {
    const HELP: &str = "write a DNS name in lower case or an IP address, with or without a port: `api.example.com:6443`";
    if text.contains("://") {
        return Err("remove the scheme: `api.example.com:6443`");
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err("put an IPv6 address in brackets: `[2001:db8::1]:6443`");
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(HELP)?;
        host.parse::<Ipv6Addr>().map_err(|_| HELP)?;
        (
            host,
            port.strip_prefix(':').or(port.is_empty().then_some("")),
        )
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let is_host =
            host.parse::<IpAddr>().is_ok() || (is_subdomain(host) && !ends_in_number(host));
        if !is_host {
            return Err(HELP);
        }
        (host, Some(port))
    };
    let port = match port {
        Some("") if !text.ends_with(':') => defaults::API_SERVER_PORT,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits
            .parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or("write a port from 1 to 65535")?,
        Some(_) | None => return Err(HELP),
    };
    Ok(Endpoint {
        host: host.to_owned(),
        port,
    })
}

/// Says whether `text` is OpenSSH's ProxyJump: `none`, or `[user@]host[:port]`
/// with commas between several.
pub(super) fn is_proxy_jump(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    text.split(',').all(|jump| {
        let jump = jump.strip_prefix("ssh://").unwrap_or(jump);
        let (user, host) = match jump.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, jump),
        };
        let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None if host.matches(':').count() == 1 => match host.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host, None),
            },
            None => (host, None),
        };
        // A colon in the user part would be a password.
        user.is_none_or(|user| is_plain(user) && !user.contains(':'))
            && is_plain(host)
            && !host.contains('/')
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
    })
}

/// Returns what a user wrote as an address, without a password in it.
fn shown(text: &str) -> String {
    match (text.find(':'), text.rfind('@')) {
        (Some(colon), Some(at)) if colon < at => format!("…{}", excerpt(&text[at..])),
        (_, _) => excerpt(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_host_and_perhaps_a_port() {
        let endpoint = parse_endpoint("api.example.com").unwrap();
        assert_eq!(
            (endpoint.host.as_str(), endpoint.port),
            ("api.example.com", 6443)
        );
        let endpoint = parse_endpoint("[2001:db8::1]:7443").unwrap();
        assert_eq!(
            (endpoint.host.as_str(), endpoint.port),
            ("2001:db8::1", 7443)
        );
        assert_eq!(parse_endpoint("[2001:db8::1]").unwrap().port, 6443);
        for text in [
            "https://a:6443",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "2001:db8::1",
            "[::1]x",
            "[a]:1",
            "10.0.0:6443",
            "A.example",
            ":6443",
            "a:1:2",
            "[::1]:",
        ] {
            assert!(parse_endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn jumps_are_openssh_s_and_hold_no_password() {
        for text in [
            "none",
            "bastion",
            "ops@bastion:2222,inner",
            "a@[2001:db8::1]:22",
        ] {
            assert!(is_proxy_jump(text), "{text}");
        }
        for text in [
            "",
            "a,",
            "-oProxyCommand=x",
            "ops:pw@bastion",
            "a b",
            "a:0",
            "a:x",
        ] {
            assert!(!is_proxy_jump(text), "{text}");
        }
    }
}
