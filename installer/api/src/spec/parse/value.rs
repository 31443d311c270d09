//! A value on its way from the tree to a type, with the words for what it should have been.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::fields::Fields;
use super::problems::{Located, Place, Problems, excerpt};
use super::schema::Schema;
use super::tree::{Content, Node, ScalarKind};

/// A value of the file and its place.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    /// The value.
    pub node: &'a Node,
    /// Its place; the mark is the value's own.
    pub place: Place,
}

impl<'a> Value<'a> {
    /// Returns a whole document.
    pub fn document(node: &'a Node) -> Self {
        Self {
            node,
            place: Place::document(node.mark),
        }
    }

    /// Returns the text, which must not be empty.
    pub fn text(&self, problems: &mut Problems) -> Option<&'a str> {
        let text = self.any_text(problems)?;
        if text.trim().is_empty() {
            let name = &self.place.name;
            problems.report(
                &self.place,
                format!("`{name}` is empty"),
                format!("write a value, or remove `{name}`"),
            );
            return None;
        }
        Some(text)
    }

    /// Returns the text, which may be empty.
    pub fn any_text(&self, problems: &mut Problems) -> Option<&'a str> {
        if let Content::Scalar(scalar) = self.node.content() {
            match scalar.kind() {
                ScalarKind::Text => return Some(&scalar.text),
                ScalarKind::Number | ScalarKind::Boolean(_) => {
                    let help = format!("put it in quotes: \"{}\"", excerpt(&scalar.text));
                    self.report_type("text", help, problems);
                    return None;
                }
                ScalarKind::Null => {}
            }
        }
        self.report_type(
            "text",
            format!("write `{}: TEXT`", self.place.name),
            problems,
        );
        None
    }

    /// Returns the scalar's text as it stands, be it text, a number or a boolean.
    pub fn scalar(&self, problems: &mut Problems) -> Option<&'a str> {
        match self.node.content() {
            Content::Scalar(scalar) if scalar.kind() != ScalarKind::Null => Some(&scalar.text),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => {
                self.report_type("text", "write a value, in quotes if need be", problems);
                None
            }
        }
    }

    /// Returns the boolean.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        let name = &self.place.name;
        if let Content::Scalar(scalar) = self.node.content() {
            if let ScalarKind::Boolean(boolean) = scalar.kind() {
                return Some(boolean);
            }
            let meant = match scalar.text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "1" => Some(true),
                "false" | "no" | "off" | "n" | "0" => Some(false),
                _ => None,
            };
            if let Some(meant) = meant {
                let help = format!("write `{name}: {meant}`, without quotes");
                self.report_type("true or false", help, problems);
                return None;
            }
        }
        let help = format!("write `{name}: true` or `{name}: false`");
        self.report_type("true or false", help, problems);
        None
    }

    /// Returns the TCP port.
    pub fn port(&self, problems: &mut Problems) -> Option<u16> {
        let name = &self.place.name;
        let help = format!("write a number from 1 to 65535: `{name}: 22`");
        let Content::Scalar(scalar) = self.node.content() else {
            self.report_type("a port number", help, problems);
            return None;
        };
        let number = scalar.text.parse::<u16>().ok().filter(|port| *port != 0);
        match (scalar.kind(), number) {
            (ScalarKind::Number, Some(port)) => Some(port),
            (ScalarKind::Text, Some(port)) => {
                let help = format!("remove the quotes: `{name}: {port}`");
                self.report_type("a port number", help, problems);
                None
            }
            (_, _) => {
                let message = format!("`{}` is not a port", excerpt(&scalar.text));
                problems.report(&self.place, message, help);
                None
            }
        }
    }

    /// Returns the path, as it is written.
    pub fn path(&self, problems: &mut Problems) -> Option<PathBuf> {
        self.text(problems).map(PathBuf::from)
    }

    /// Returns the text read as `T`, whose error is the message.
    pub fn parse<T>(&self, help: &str, problems: &mut Problems) -> Option<Located<T>>
    where
        T: FromStr<Err: fmt::Display>,
    {
        match self.text(problems)?.parse() {
            Ok(value) => Some(self.located(value)),
            Err(error) => {
                problems.report(&self.place, error.to_string(), help);
                None
            }
        }
    }

    /// Returns the list's items.
    pub fn items(&self, problems: &mut Problems) -> Option<Vec<Self>> {
        let Content::Sequence(items) = self.node.content() else {
            let help = format!("write a list: `{}: [FIRST, SECOND]`", self.place.name);
            self.report_type("a list", help, problems);
            return None;
        };
        let items = items.iter().enumerate().map(|(index, node)| Self {
            node,
            place: self.place.item(node.mark, index),
        });
        Some(items.collect())
    }

    /// Returns the fields of a mapping that `schema` describes; other fields
    /// are errors.
    pub fn fields(&self, schema: &'static Schema, problems: &mut Problems) -> Option<Fields<'a>> {
        match self.node.content() {
            Content::Mapping(entries) => {
                Some(Fields::open(entries, self.place.clone(), schema, problems))
            }
            Content::Scalar(_) | Content::Sequence(_) => {
                let help = format!("it takes the fields {}", schema.field_list());
                self.report_type("a mapping", help, problems);
                None
            }
        }
    }

    /// Returns the field `name` of a mapping, whatever else the mapping has.
    pub fn field(&self, name: &str) -> Option<Self> {
        let entry = self.node.entry(name)?;
        (!entry.value.is_null()).then(|| Self {
            node: &entry.value,
            place: self.place.field(entry.value.mark, name),
        })
    }

    /// Returns the keys of a mapping with their places; none of anything else.
    pub fn keys(&self) -> Vec<Located<String>> {
        let Content::Mapping(entries) = self.node.content() else {
            return Vec::new();
        };
        let keys = entries.iter().map(|entry| Located {
            value: entry.key.clone(),
            place: self.place.field(entry.mark, &entry.key),
        });
        keys.collect()
    }

    /// Returns the entries of a mapping whose keys are the user's.
    pub fn entries(&self, problems: &mut Problems) -> Option<Vec<(Located<&'a str>, Self)>> {
        let Content::Mapping(entries) = self.node.content() else {
            let help = format!("write `{}: {{ key: value }}`", self.place.name);
            self.report_type("a mapping", help, problems);
            return None;
        };
        let entries = entries.iter().map(|entry| {
            let key = Located {
                value: entry.key.as_str(),
                place: self.place.field(entry.mark, &entry.key),
            };
            let value = Self {
                node: &entry.value,
                place: self.place.field(entry.value.mark, &entry.key),
            };
            (key, value)
        });
        Some(entries.collect())
    }

    /// Returns `value` with this value's place.
    pub fn located<T>(&self, value: T) -> Located<T> {
        Located {
            value,
            place: self.place.clone(),
        }
    }

    fn report_type(&self, expected: &str, help: impl Into<String>, problems: &mut Problems) {
        let name = &self.place.name;
        let found = match self.node.content() {
            Content::Scalar(scalar) if !scalar.plain => "text in quotes",
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => {
                self.node.description()
            }
        };
        let found = if expected == "text" {
            self.node.description()
        } else {
            found
        };
        problems.report(
            &self.place,
            format!("`{name}` must be {expected}, and this is {found}"),
            help,
        );
    }
}
