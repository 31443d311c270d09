//! Turns host names into addresses, in the one place that does so.
//!
//! `getaddrinfo` of a static glibc can crash through NSS modules
//! (rust-lang/rust#100711, #115723), so it is never called: `/etc/hosts` is read first,
//! then the name servers of `/etc/resolv.conf` are asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;

/// The file with fixed names.
const HOSTS_FILE: &str = "/etc/hosts";

/// How long all name servers together may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A name could not be turned into an address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No name server could be asked at all.
    #[error("the resolver could not start from /etc/resolv.conf")]
    NoResolver(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The name servers do not know the name, or did not answer.
    #[error("the name servers have no address for `{name}`")]
    Lookup {
        /// The name asked for.
        name: String,
        /// What the resolver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The name servers took longer than ten seconds.
    #[error("the name servers did not answer for `{name}` within {} s", LOOKUP_TIMEOUT.as_secs())]
    TimedOut {
        /// The name asked for.
        name: String,
    },
}

/// Returns the addresses of `name`, IPv4 first; an address (with or without brackets) is itself.
pub async fn resolve_host(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let literal = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    if let Ok(address) = literal.parse() {
        return Ok(vec![address]);
    }
    let fixed = match tokio::fs::read_to_string(HOSTS_FILE).await {
        Ok(text) => addresses_in_hosts_file(&text, name),
        // Without the file there are no fixed names; DNS still answers.
        Err(_) => Vec::new(),
    };
    if !fixed.is_empty() {
        return Ok(fixed);
    }
    // RFC 6761: `localhost` needs no file and must not reach a name server.
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    ask_name_servers(name).await
}

async fn ask_name_servers(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let no_resolver = |source| ResolveError::NoResolver(Box::new(source));
    let mut builder = TokioResolver::builder_tokio().map_err(no_resolver)?;
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    let resolver = builder.build().map_err(no_resolver)?;
    let answer = tokio::time::timeout(LOOKUP_TIMEOUT, resolver.lookup_ip(name))
        .await
        .map_err(|_| ResolveError::TimedOut { name: name.into() })?
        .map_err(|source| ResolveError::Lookup {
            name: name.into(),
            source: Box::new(source),
        })?;
    let mut addresses: Vec<IpAddr> = answer.iter().collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

/// Returns the addresses that the text of a hosts file gives `name`, IPv4 first.
fn addresses_in_hosts_file(text: &str, name: &str) -> Vec<IpAddr> {
    let wanted = name.trim_end_matches('.');
    let mut addresses: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('#').next()?.split_whitespace();
            let address = fields.next()?.parse().ok()?;
            fields
                .any(|alias| alias.eq_ignore_ascii_case(wanted))
                .then_some(address)
        })
        .collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost # not cp-2\n::1\tlocalhost ip6-localhost\n\
                         fd00::1 cp-1\n192.0.2.11  cp-1.example CP-1\nnonsense cp-1\n";

    #[test]
    fn hosts_file_gives_every_address_of_a_name_ipv4_first() {
        let addresses = addresses_in_hosts_file(HOSTS, "cp-1");
        let expected: [IpAddr; 2] = [
            Ipv4Addr::new(192, 0, 2, 11).into(),
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into(),
        ];
        assert_eq!(addresses, expected);
    }

    #[test]
    fn hosts_file_comments_name_nothing() {
        assert_eq!(addresses_in_hosts_file(HOSTS, "cp-2"), Vec::<IpAddr>::new());
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer_with_or_without_brackets() {
        for name in ["::1", "[::1]"] {
            let addresses = resolve_host(name).await.expect("a literal needs no lookup");
            assert_eq!(addresses, [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        }
    }
}
