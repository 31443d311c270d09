//! Choosing a lab's subnet so that it meets nothing this machine already uses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::LabError;
use crate::command::Program;

/// The range that labs take their /24 from.
pub(crate) const POOL: &str = "10.77.0.0/16";

/// Returns the subnets that this machine's addresses and routes use.
///
/// # Errors
/// `ip` cannot be run or fails.
pub(crate) async fn gather_local_subnets() -> Result<Vec<Ipv4Net>, LabError> {
    let routes = Program::new("ip")
        .args(["-4", "route", "show", "table", "all"])
        .run()
        .await?;
    Ok(parse_routes(&routes))
}

/// Returns every subnet named anywhere in an engine's description of its networks.
///
/// Podman writes `subnets[].subnet`, Docker `IPAM.Config[].Subnet`.
pub(crate) fn parse_network_subnets(networks: &Value) -> Vec<Ipv4Net> {
    match networks {
        Value::Array(items) => items.iter().flat_map(parse_network_subnets).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(text) if key.eq_ignore_ascii_case("subnet") => {
                    text.parse().ok().into_iter().collect()
                }
                _ => parse_network_subnets(value),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Returns the first /24 of the pool that meets none of `taken`.
///
/// Wider routes than the pool do not count: a VPN's 10.0.0.0/8 gives way to a
/// bridge's own, longer prefix.
///
/// # Errors
/// [`LabError::NoFreeSubnet`].
pub(crate) fn choose_subnet(taken: &[Ipv4Net]) -> Result<Ipv4Net, LabError> {
    let pool: Ipv4Net = POOL.parse().expect("the pool is a subnet");
    let meets = |subnet: &Ipv4Net| {
        taken
            .iter()
            .filter(|other| other.prefix_len() >= pool.prefix_len())
            .any(|other| other.contains(subnet) || subnet.contains(other))
    };
    pool.subnets(24)
        .expect("a /16 has /24s")
        .skip(1)
        .find(|subnet| !meets(subnet))
        .ok_or(LabError::NoFreeSubnet { pool: POOL })
}

fn parse_routes(text: &str) -> Vec<Ipv4Net> {
    const KINDS: [&str; 7] = [
        "local",
        "broadcast",
        "unicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
    ];
    text.lines()
        .filter_map(|line| line.split_whitespace().find(|word| !KINDS.contains(word)))
        .filter_map(|word| {
            let net: Option<Ipv4Net> = word.parse().ok();
            net.or_else(|| word.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<Ipv4Net> {
        list.iter()
            .map(|net| net.parse().expect("a subnet"))
            .collect()
    }

    #[test]
    fn the_first_lab_gets_the_first_subnet_and_the_next_the_next() {
        let first = choose_subnet(&[]).expect("all are free");
        assert_eq!(first.to_string(), "10.77.1.0/24");
        let second = choose_subnet(&[first]).expect("255 are free");
        assert_eq!(second.to_string(), "10.77.2.0/24");
    }

    #[test]
    fn a_narrower_and_a_wider_neighbour_are_both_avoided() {
        let taken = nets(&["10.77.1.7/32", "10.77.2.0/23", "0.0.0.0/0", "10.0.0.0/8"]);
        let subnet = choose_subnet(&taken).expect("many are free");
        assert_eq!(subnet.to_string(), "10.77.4.0/24");
    }

    #[test]
    fn a_machine_that_uses_the_whole_pool_has_no_subnet_left() {
        let taken = nets(&["10.77.0.0/16"]);
        assert!(matches!(
            choose_subnet(&taken),
            Err(LabError::NoFreeSubnet { .. })
        ));
    }

    #[test]
    fn routes_are_read_with_their_kinds_and_without_the_default() {
        let text = "default via 192.0.2.1 dev eth0 \n\
                    192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2 \n\
                    local 10.77.1.1 dev podman1 table local proto kernel \n\
                    broadcast 10.77.1.255 dev podman1 table local\n";
        let expected = nets(&["192.0.2.0/24", "10.77.1.1/32", "10.77.1.255/32"]);
        assert_eq!(parse_routes(text), expected);
    }

    #[test]
    fn both_engines_network_descriptions_are_read() {
        let podman = serde_json::json!([{"name": "a", "subnets": [{"subnet": "10.77.5.0/24", "gateway": "10.77.5.1"}]}]);
        let docker =
            serde_json::json!([{"Name": "b", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}]);
        assert_eq!(parse_network_subnets(&podman), nets(&["10.77.5.0/24"]));
        assert_eq!(parse_network_subnets(&docker), nets(&["172.17.0.0/16"]));
    }
}
