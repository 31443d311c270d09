//! The fields of one mapping.

use super::problems::{Place, Problems, excerpt};
use super::schema::{Meant, Schema};
use super::tree::Entry;
use super::value::Value;

/// The fields of a mapping whose unknown fields have been reported.
pub(super) struct Fields<'a> {
    entries: &'a [Entry],
    place: Place,
    /// Fields that a typing error was probably meant to be: no use in calling
    /// them missing as well.
    misspelt: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Takes the entries of the mapping at `place` and reports those that are
    /// not in `schema`.
    pub fn open(
        entries: &'a [Entry],
        place: Place,
        schema: &'static Schema,
        problems: &mut Problems,
    ) -> Self {
        let mut misspelt = Vec::new();
        for entry in entries {
            if !schema.fields.contains(&entry.key.as_str()) {
                misspelt.extend(report_unknown(entry, &place, schema, problems));
            }
        }
        Self {
            entries,
            place,
            misspelt,
        }
    }

    /// Returns the place of the mapping.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the field `name`, unless it is absent or says nothing.
    pub fn optional(&self, name: &str) -> Option<Value<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (!entry.value.is_null()).then(|| Value {
            node: &entry.value,
            place: self.place.field(entry.value.mark, name),
        })
    }

    /// Returns the field `name`; its absence is an error.
    pub fn required(&self, name: &str, help: &str, problems: &mut Problems) -> Option<Value<'a>> {
        let value = self.optional(name);
        if value.is_none() && !self.misspelt.contains(&name) {
            match self.entries.iter().find(|entry| entry.key == name) {
                Some(entry) => {
                    let place = self.place.field(entry.mark, name);
                    problems.report(&place, format!("`{name}` is empty"), help);
                }
                None => problems.report(&self.place, format!("`{name}` is missing"), help),
            }
        }
        value
    }
}

/// Reports an unknown field; returns the field of the same mapping that was
/// probably meant.
fn report_unknown(
    entry: &Entry,
    place: &Place,
    schema: &'static Schema,
    problems: &mut Problems,
) -> Option<&'static str> {
    let name = excerpt(&entry.key);
    let place = place.field(entry.mark, &entry.key);
    // Guessing costs more than counting, and what is not shown needs no guess.
    let meant = if problems.is_full() {
        Meant::Unknown
    } else {
        schema.meant_by(&entry.key)
    };
    let unknown = format!("unknown field `{name}`");
    match meant {
        Meant::Field("passwordFile") => {
            let help = "secrets do not belong in this file: put the password into a file that only you can read and write `passwordFile: PATH`";
            problems.report(
                &place,
                format!("{unknown}; `passwordFile` takes its place"),
                help,
            );
            Some("passwordFile")
        }
        Meant::Field(field) => {
            let message = format!("{unknown}; probably `{field}` is meant");
            problems.report(&place, message, format!("write `{field}`"));
            Some(field)
        }
        Meant::Elsewhere(other) => {
            let message = format!("{unknown}; it belongs in `{other}`");
            problems.report(&place, message, format!("move it to `{other}.{name}`"));
            None
        }
        Meant::Gone(help) => {
            problems.report(&place, unknown, help);
            None
        }
        Meant::Unknown => {
            let parent = match schema.place {
                "" => "the document",
                other => other,
            };
            let help = format!("{parent} takes {}", schema.field_list());
            problems.report(&place, unknown, help);
            None
        }
    }
}
