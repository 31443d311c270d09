//! The fields of a component configuration, by their paths.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The fields of a `KubeletConfiguration`.
pub(in crate::spec::parse) static KUBELET: LazyLock<FieldTable> =
    LazyLock::new(|| FieldTable::parse("KubeletConfiguration", include_str!("kubelet.txt")));

/// The fields of a `KubeProxyConfiguration`.
pub(in crate::spec::parse) static KUBE_PROXY: LazyLock<FieldTable> =
    LazyLock::new(|| FieldTable::parse("KubeProxyConfiguration", include_str!("kube-proxy.txt")));

/// The fields of one kind of document.
pub(in crate::spec::parse) struct FieldTable {
    /// The document's kind.
    pub kind: &'static str,
    /// What is known below each path; the document itself is the empty path.
    below: BTreeMap<String, Below>,
}

/// What a path may hold.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// A value of this type, for the end of a path.
    pub value: Option<Type>,
    /// The first minor that has the field, if not all have it.
    pub since: Option<u64>,
    /// The names of the fields of a mapping.
    pub fields: Vec<&'static str>,
    /// Whether it is a list.
    pub is_list: bool,
    /// Whether it is a mapping whose keys are the user's.
    pub is_map: bool,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Text.
    Text,
    /// A duration as Go writes it.
    Duration,
    /// A quantity such as `100Mi`, or a number.
    Quantity,
    /// Whatever the component takes.
    Any,
}

impl FieldTable {
    fn parse(kind: &'static str, text: &'static str) -> Self {
        let mut table = Self {
            kind,
            below: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (path, kind) = (words.next(), words.next());
            let (path, kind) = path.zip(kind).expect("each line has a path and a type");
            let value = match kind {
                "bool" => Type::Bool,
                "int" => Type::Int,
                "float" => Type::Float,
                "text" => Type::Text,
                "duration" => Type::Duration,
                "quantity" => Type::Quantity,
                "any" => Type::Any,
                other => unreachable!("`{other}` is no type of the table"),
            };
            let since = words.next().map(|minor| minor.parse().expect("a minor"));
            table.add(path, value, since);
        }
        table
    }

    /// Adds a field: every part of its path is something that holds the next.
    fn add(&mut self, path: &'static str, value: Type, since: Option<u64>) {
        let mut at = String::new();
        for part in path.split('.') {
            let name = part.trim_end_matches("[]").trim_end_matches("{}");
            let name = name.trim_end_matches("[]");
            let parent = self.below.entry(at.clone()).or_default();
            if !parent.fields.contains(&name) {
                parent.fields.push(name);
            }
            if !at.is_empty() {
                at.push('.');
            }
            at.push_str(name);
            let mut rest = &part[name.len()..];
            while !rest.is_empty() {
                let holder = self.below.entry(at.clone()).or_default();
                let (mark, after) = rest.split_at(2);
                match mark {
                    "[]" => holder.is_list = true,
                    _ => holder.is_map = true,
                }
                at.push_str(mark);
                rest = after;
            }
        }
        let end = self.below.entry(at).or_default();
        end.value = Some(value);
        end.since = since;
    }

    /// Returns what is known of a path.
    pub(super) fn at(&self, path: &str) -> Option<&Below> {
        self.below.get(path)
    }

    /// Returns the path of the one mapping that has a field of this name.
    pub(super) fn place_of(&self, name: &str) -> Option<&str> {
        let mut places = self
            .below
            .iter()
            .filter(|(_, below)| below.fields.contains(&name));
        let first = places.next()?;
        places.next().is_none().then_some(first.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_know_mappings_lists_and_ends() {
        let document = KUBELET.at("").unwrap();
        assert!(document.fields.contains(&"maxPods") && document.fields.contains(&"kind"));
        assert_eq!(KUBELET.at("maxPods").unwrap().value, Some(Type::Int));
        assert!(KUBELET.at("evictionHard").unwrap().is_map);
        assert_eq!(
            KUBELET.at("evictionHard{}").unwrap().value,
            Some(Type::Text)
        );
        assert!(KUBELET.at("registerWithTaints").unwrap().is_list);
        let taint = KUBELET.at("registerWithTaints[]").unwrap();
        assert!(taint.fields.contains(&"effect"));
        assert_eq!(
            KUBELET.place_of("clientCAFile"),
            Some("authentication.x509")
        );
        assert_eq!(
            KUBE_PROXY.at("conntrack.maxPerCore").unwrap().value,
            Some(Type::Int)
        );
    }
}
