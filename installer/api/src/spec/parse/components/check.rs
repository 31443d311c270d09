//! Checks a component configuration against the table of its fields.

use serde_json::Value;

use super::field_table::{Below, FieldTable, Type};
use crate::Release;
use crate::spec::GoDuration;
use crate::spec::parse::json::to_json;
use crate::spec::parse::problems::{Place, Problems, excerpt};
use crate::spec::parse::schema::closest;
use crate::spec::parse::tree::{Content, Node};

/// Returns a component's document as a JSON value; reports fields that the
/// component of `release` does not know, and values of the wrong type.
///
/// kubeadm warns of unknown fields and goes on without them: a typing error
/// would then change nothing, in silence.
pub(in crate::spec::parse) fn check_component(
    document: &Node,
    table: &FieldTable,
    release: Option<&Release>,
    problems: &mut Problems,
) -> Value {
    let place = Place::document(document.mark);
    let value = to_json(document, &place, problems);
    let checker = Checker { table, release };
    checker.check(document, &value, "", &place, problems);
    value
}

struct Checker<'a> {
    table: &'a FieldTable,
    release: Option<&'a Release>,
}

impl Checker<'_> {
    fn check(
        &self,
        node: &Node,
        value: &Value,
        path: &str,
        place: &Place,
        problems: &mut Problems,
    ) {
        let Some(known) = self.table.at(path) else {
            return;
        };
        // Null is "not set" for every field.
        if value.is_null() {
            return;
        }
        match (node.content(), value) {
            (Content::Sequence(items), Value::Array(values)) if known.is_list => {
                for (index, (item, value)) in items.iter().zip(values).enumerate() {
                    let place = place.item(item.mark, index);
                    self.check(item, value, &format!("{path}[]"), &place, problems);
                }
            }
            (Content::Mapping(entries), Value::Object(_))
                if known.is_map || !known.fields.is_empty() =>
            {
                for entry in entries {
                    if !known.is_map && !known.fields.contains(&entry.key.as_str()) {
                        let place = place.field(entry.mark, &entry.key);
                        self.report_unknown(&entry.key, path, known, &place, problems);
                        continue;
                    }
                    let below = match (known.is_map, path) {
                        (true, _) => format!("{path}{{}}"),
                        (false, "") => entry.key.clone(),
                        (false, _) => format!("{path}.{}", entry.key),
                    };
                    let place = place.field(entry.value.mark, &entry.key);
                    self.check_age(&below, &place, problems);
                    let value = &value[entry.key.as_str()];
                    self.check(&entry.value, value, &below, &place, problems);
                }
            }
            _ => report_type(known, value, place, problems),
        }
    }

    fn check_age(&self, path: &str, place: &Place, problems: &mut Problems) {
        let since = self.table.at(path).and_then(|known| known.since);
        let Some((since, release)) = since.zip(self.release) else {
            return;
        };
        if release.kubernetes.minor() < since {
            let name = &place.name;
            problems.report(
                place,
                format!(
                    "`{name}` is new in Kubernetes 1.{since}, and the file's version is {}",
                    release.kubernetes
                ),
                "remove it, or install a newer version",
            );
        }
    }

    fn report_unknown(
        &self,
        name: &str,
        path: &str,
        known: &Below,
        place: &Place,
        problems: &mut Problems,
    ) {
        let shown = excerpt(name);
        let unknown = format!("unknown field `{shown}`");
        if problems.is_full() {
            problems.report(place, unknown, "");
            return;
        }
        let elsewhere = self.table.place_of(name).filter(|other| *other != path);
        if let Some(other) = elsewhere {
            let (where_to, help) = match other {
                "" => (
                    "the document itself".to_owned(),
                    format!("write `{shown}` without indentation"),
                ),
                other => (
                    format!("`{other}`"),
                    format!("move it to `{other}.{shown}`"),
                ),
            };
            problems.report(place, format!("{unknown}; it belongs in {where_to}"), help);
        } else if let Some(meant) = closest(name, known.fields.iter().copied()) {
            let message = format!("{unknown}; probably `{meant}` is meant");
            problems.report(place, message, format!("write `{meant}`"));
        } else {
            let kind = self.table.kind;
            let message = match path {
                "" => format!("{unknown}: a {kind} has none of this name"),
                path => format!("{unknown}: `{path}` of a {kind} has none of this name"),
            };
            problems.report(
                place,
                message,
                "remove it, or look its name up in Kubernetes' reference",
            );
        }
    }
}

fn report_type(known: &Below, value: &Value, place: &Place, problems: &mut Problems) {
    let name = &place.name;
    let (expected, help) = match known.value {
        Some(Type::Any) => return,
        Some(Type::Bool) if value.is_boolean() => return,
        Some(Type::Int) if value.is_i64() || value.is_u64() => return,
        Some(Type::Float) if value.is_number() => return,
        Some(Type::Quantity) if value.is_number() || value.is_string() => return,
        Some(Type::Text) if value.is_string() => return,
        Some(Type::Duration) if value.as_str().is_some_and(is_duration) => return,
        Some(Type::Bool) => (
            "true or false",
            format!("write `{name}: true` or `{name}: false`"),
        ),
        Some(Type::Int) => (
            "a whole number",
            format!("write `{name}: 10`, without quotes"),
        ),
        Some(Type::Float) => ("a number", format!("write `{name}: 0.5`, without quotes")),
        Some(Type::Quantity) => ("a quantity", format!("write `{name}: 100Mi`")),
        Some(Type::Text) => ("text", "put it in quotes".to_owned()),
        Some(Type::Duration) => (
            "a duration",
            format!("write it as Go does: `{name}: 1m30s`"),
        ),
        None if known.is_list => ("a list", format!("write `{name}: [FIRST, SECOND]`")),
        None => ("a mapping", format!("write `{name}: {{ field: value }}`")),
    };
    let found = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    let message = match (known.value, value) {
        (Some(Type::Duration), Value::String(text)) => {
            format!("`{}` is not a duration", excerpt(text))
        }
        _ => format!("`{name}` must be {expected}, and this is {found}"),
    };
    problems.report(place, message, help);
}

fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.parse::<GoDuration>().is_ok()
}
