//! Proxies that would stand between nodes, pods and Services.

use std::net::IpAddr;

use ipnet::IpNet;
use slipway_api::Finding;

use super::Subject;
use crate::names::nth_address;

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let proxies = &subject.facts.software.proxies;
    let Some(proxy) = proxies.get("HTTPS_PROXY") else {
        return;
    };
    let exceptions = proxies.get("NO_PROXY").map_or("", String::as_str);
    let spec = subject.spec;
    let api = match &spec.control_plane_endpoint {
        Some(endpoint) => endpoint.host.clone(),
        None => spec.first_control_plane().node_ip.to_string(),
    };
    if !is_excepted(&api, exceptions) {
        found.push(subject.warning(
            "HTTPProxy",
            format!("services reach {api} through the proxy {proxy}"),
            "the kubelet's connection to the API server goes that way, and most proxies refuse it",
            help(&api),
        ));
    }
    let networking = &spec.networking;
    let subnets = networking.service_subnet.iter();
    for subnet in subnets.chain(networking.pod_subnet.iter()) {
        let first = nth_address(&subnet, 1).to_string();
        if !is_excepted(&first, exceptions) {
            found.push(subject.warning(
                "HTTPProxyCIDR",
                format!("services reach {subnet} through the proxy {proxy}"),
                "no proxy knows the addresses of pods and Services",
                help(&subnet.to_string()),
            ));
        }
    }
}

fn help(exception: &str) -> String {
    format!(
        "add {exception} to NO_PROXY: `systemctl edit kubelet` or DefaultEnvironment in /etc/systemd/system.conf"
    )
}

/// Returns whether NO_PROXY excepts a host, by the rules of Go's programs:
/// addresses, subnets, and domains with everything below them.
fn is_excepted(host: &str, exceptions: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    exceptions.split(',').map(str::trim).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(address) = address {
            let is_inside = |subnet: IpNet| subnet.contains(&address);
            return entry.parse::<IpAddr>() == Ok(address)
                || entry.parse::<IpNet>().is_ok_and(is_inside);
        }
        let entry = entry.strip_prefix('*').unwrap_or(entry);
        let host = host.to_ascii_lowercase();
        let domain = entry.trim_start_matches('.').to_ascii_lowercase();
        let is_below = host
            .strip_suffix(&domain)
            .is_some_and(|rest| rest.ends_with('.'));
        !domain.is_empty() && (is_below || (host == domain && !entry.starts_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use super::is_excepted;

    #[test]
    fn exceptions_follow_the_rules_of_go_s_programs() {
        let cases = [
            ("192.0.2.11", "192.0.2.11", true),
            ("192.0.2.11", "10.0.0.0/8, 192.0.2.0/24", true),
            ("192.0.2.11", "192.0.2.1", false),
            ("192.0.2.11", "*", true),
            ("api.example", "example", true),
            ("api.example", ".example", true),
            ("api.example", "*.example", true),
            ("example", ".example", false),
            ("API.Example", "api.example", true),
            ("notexample", "example", false),
            ("127.0.0.1", "", true),
            ("api.example", "", false),
        ];
        for (host, exceptions, expected) in cases {
            assert_eq!(
                is_excepted(host, exceptions),
                expected,
                "{host} with {exceptions:?}"
            );
        }
    }
}
