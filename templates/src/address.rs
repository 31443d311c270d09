//! Addresses as they stand in URLs.

/// Returns `host:port`, an IPv6 address in brackets.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if is_ipv6(host) {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Returns the loopback address of the same family.
pub(crate) fn loopback_like(address: &str) -> &'static str {
    if is_ipv6(address) { "::1" } else { "127.0.0.1" }
}

/// Says whether the text is an IPv6 address: nothing else here holds a colon.
pub(crate) fn is_ipv6(address: &str) -> bool {
    address.contains(':')
}
