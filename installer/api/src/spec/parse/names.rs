//! Kubernetes' rules for names, labels and taints (`k8s.io/apimachinery`, `util/validation`).

/// Says whether `text` is an RFC 1123 subdomain: lower-case labels with dots
/// between them, at most 253 characters.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Says whether `text` may be a DNS name to connect to: as a subdomain, upper
/// case and a trailing dot allowed, and not a mistyped IPv4 address.
pub(super) fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    is_subdomain(&name) && !ends_in_number(&name)
}

/// Says whether the last label is a number, which no top-level domain is: such
/// text is a mistyped IPv4 address.
pub(super) fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_plain(byte) || *byte == b'-')
        && bytes.first().is_some_and(is_plain)
        && bytes.last().is_some_and(is_plain)
}

/// Says whether `text` is a qualified name, as keys of labels and taints are:
/// a name with or without `subdomain/` before it.
pub(super) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

/// Says whether `text` may be the value of a label or taint.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_follow_kubernetes_rules() {
        for key in ["disk", "example.com/disk", "a_b.c-d", "A"] {
            assert!(is_qualified_name(key), "{key}");
        }
        for key in [
            "",
            "/a",
            "a/",
            "a/b/c",
            "-a",
            "Upper.com/a",
            "a b",
            &"a".repeat(64),
        ] {
            assert!(!is_qualified_name(key), "{key}");
        }
        assert!(is_label_value("") && is_label_value("v1.2") && !is_label_value("a b"));
    }

    #[test]
    fn a_mistyped_ip_address_is_no_dns_name() {
        for name in ["10.0.0", "192.0.2.300", "", "a_b", "a..b"] {
            assert!(!is_dns_name(name), "{name}");
        }
        for name in ["localhost", "Node-1.example.com", "node1.example.com."] {
            assert!(is_dns_name(name), "{name}");
        }
    }
}
