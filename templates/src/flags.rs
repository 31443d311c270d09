//! Command-line flags of components, merged the way kubeadm merges them.

/// Returns `--name=value` for every flag: the defaults sorted by name and without
/// those that `extra` names, then `extra` in the order given.
///
/// A name may stand in `extra` several times; all of them are kept. Source:
/// `ArgumentsToCommand` in kubeadm's `util/arguments.go`.
///
/// ```
/// use slipway_templates::merge_flags;
///
/// let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
/// let flags = merge_flags(
///     vec![pair("v", "1"), pair("port", "80")],
///     &[pair("v", "4")],
/// );
/// assert_eq!(flags, ["--port=80", "--v=4"]);
/// ```
pub fn merge_flags(mut defaults: Vec<(String, String)>, extra: &[(String, String)]) -> Vec<String> {
    defaults.sort();
    defaults.retain(|(name, _)| extra.iter().all(|(extra_name, _)| extra_name != name));
    defaults
        .iter()
        .chain(extra)
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}

/// Returns the value of the last flag with this name, the one that counts.
pub(crate) fn last_value<'a>(flags: &'a [(String, String)], name: &str) -> Option<&'a str> {
    flags
        .iter()
        .rev()
        .find(|(flag, _)| flag == name)
        .map(|(_, value)| value.as_str())
}

/// Returns an owned pair.
pub(crate) fn flag(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn owned(pairs: Pairs) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| flag(name, *value))
            .collect()
    }

    #[test]
    fn flags_merge_as_kubeadm_merges_them() {
        let table: [(Pairs, Pairs, &[&str]); 7] = [
            (&[], &[], &[]),
            (&[("b", "2"), ("a", "1")], &[], &["--a=1", "--b=2"]),
            (&[("a", "2"), ("a", "1")], &[], &["--a=1", "--a=2"]),
            (&[("a", "1")], &[("a", "9")], &["--a=9"]),
            (
                &[("a", "1"), ("b", "2")],
                &[("c", "3"), ("a", "4")],
                &["--b=2", "--c=3", "--a=4"],
            ),
            (
                &[("a", "1")],
                &[("a", "x"), ("a", "w")],
                &["--a=x", "--a=w"],
            ),
            (&[("a", "1")], &[("b", "")], &["--a=1", "--b="]),
        ];
        for (defaults, extra, expected) in table {
            assert_eq!(merge_flags(owned(defaults), &owned(extra)), expected);
        }
    }

    #[test]
    fn the_last_value_of_a_repeated_flag_counts() {
        let flags = owned(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(last_value(&flags, "a"), Some("3"));
        assert_eq!(last_value(&flags, "c"), None);
    }
}
