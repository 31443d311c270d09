//! Matches a host name against the first field of a `known_hosts` line.
//!
//! Supported, as in sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT": comma-separated patterns with `*`
//! and `?`, negation with `!`, `[host]:port`, and names hashed as `|1|salt|hash`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first field of a `known_hosts` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// One name, hidden: HMAC-SHA-1 of the name under a salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Patterns in lower case; a negated one vetoes the whole line.
    Plain(Vec<Pattern>),
}

/// One of the comma-separated patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    negated: bool,
    text: String,
}

impl HostPattern {
    /// Parses the field; a hashed name that is not well formed is nothing.
    pub(super) fn parse(field: &str) -> Option<Self> {
        if let Some(hashed) = field.strip_prefix("|1|") {
            let (salt, hash) = hashed.split_once('|')?;
            return Some(Self::Hashed {
                salt: STANDARD.decode(salt).ok()?,
                hash: STANDARD.decode(hash).ok()?,
            });
        }
        let patterns = field
            .split(',')
            .filter(|text| !text.is_empty())
            .map(|text| match text.strip_prefix('!') {
                Some(rest) => Pattern {
                    negated: true,
                    text: rest.to_lowercase(),
                },
                None => Pattern {
                    negated: false,
                    text: text.to_lowercase(),
                },
            })
            .collect();
        Some(Self::Plain(patterns))
    }

    /// Returns whether the line speaks about `name`, which is in lower case.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Plain(patterns) => {
                let mut matched = false;
                for pattern in patterns {
                    if wildcard_matches(pattern.text.as_bytes(), name.as_bytes()) {
                        if pattern.negated {
                            return false;
                        }
                        matched = true;
                    }
                }
                matched
            }
        }
    }
}

/// Returns whether `text` matches `pattern`, in which `*` is any run and `?` any one character.
///
/// Walks back to the last `*` only, so that no pattern takes more than quadratic time.
pub(super) fn wildcard_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                last_star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match last_star {
                Some((star, covered)) => {
                    last_star = Some((star, covered + 1));
                    at_pattern = star + 1;
                    at_text = covered + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_sshd_documents() {
        for (field, name, expected) in [
            ("host.example", "host.example", true),
            ("HOST.example", "host.example", true),
            ("host.example", "other.example", false),
            ("a,b,c", "b", true),
            ("*.example", "host.example", true),
            ("*.example", "example", false),
            ("192.0.2.?", "192.0.2.7", true),
            ("192.0.2.?", "192.0.2.77", false),
            ("*", "anything", true),
            ("*.example,!bad.example", "bad.example", false),
            ("!bad.example,*.example", "bad.example", false),
            ("!bad.example", "good.example", false),
            ("[host]:2222", "[host]:2222", true),
            ("[host]:2222", "host", false),
            ("[*.example]:22??", "[cp.example]:2222", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            (",,", "", false),
        ] {
            let pattern = HostPattern::parse(field).expect("well formed");
            assert_eq!(pattern.matches(name), expected, "{field} against {name}");
        }
    }

    #[test]
    fn a_hashed_name_matches_only_itself() {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"0123456789abcdefghij");
        let hash = STANDARD.encode(hmac::sign(&key, b"[cp-1]:2222").as_ref());
        let field = format!("|1|{}|{hash}", STANDARD.encode(b"0123456789abcdefghij"));
        let pattern = HostPattern::parse(&field).expect("well formed");
        assert!(pattern.matches("[cp-1]:2222"));
        assert!(!pattern.matches("cp-1"));
    }

    #[test]
    fn a_broken_hash_is_nothing() {
        assert_eq!(HostPattern::parse("|1|not base64|x"), None);
        assert_eq!(HostPattern::parse("|1|AAAA"), None);
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "*a".repeat(50);
        assert!(!wildcard_matches(
            pattern.as_bytes(),
            "b".repeat(2000).as_bytes()
        ));
    }
}
