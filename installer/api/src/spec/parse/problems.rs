//! The errors found so far.

use super::source::Source;
use super::tree::Mark;
use crate::spec::{SpecError, SpecErrors};

/// Further errors are counted, not kept: nobody reads more at once, and a
/// file of junk must not cost a snippet per character.
const MAX_ERRORS: usize = 50;

/// A place in the file: where it stands and which field it is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where it stands.
    pub mark: Mark,
    /// The whole way to it: `spec.hosts[1].role`.
    pub path: String,
    /// The last part of the way: `role`.
    pub name: String,
}

impl Place {
    /// Returns the place of a document.
    pub fn document(mark: Mark) -> Self {
        Self {
            mark,
            path: String::new(),
            name: "document".to_owned(),
        }
    }

    /// Returns the place of the field `name` inside this one.
    pub fn field(&self, mark: Mark, name: &str) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        Self {
            mark,
            path,
            name: name.to_owned(),
        }
    }

    /// Returns the place of the list item `index` inside this one.
    pub fn item(&self, mark: Mark, index: usize) -> Self {
        Self {
            mark,
            path: format!("{}[{index}]", self.path),
            name: format!("{}[{index}]", self.name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub place: Place,
}

/// Collects errors while the file is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<(Place, String, String)>,
    omitted: usize,
}

impl Problems {
    /// Records that `message` is wrong at `place` and `help` mends it.
    pub fn report(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        if self.kept.len() < MAX_ERRORS {
            let kept = (place.clone(), plain(&message.into()), plain(&help.into()));
            self.kept.push(kept);
        } else {
            self.omitted += 1;
        }
    }

    /// Returns whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns the first error: its line, its message and its help.
    pub fn first(&self) -> Option<(usize, &str, &str)> {
        let first = self.kept.iter().min_by_key(|(place, ..)| place.mark)?;
        Some((first.0.mark.line, &first.1, &first.2))
    }

    /// Returns whether a further error would only be counted.
    pub fn is_full(&self) -> bool {
        self.kept.len() >= MAX_ERRORS
    }

    /// Returns the errors with their lines from `text`.
    pub fn into_errors(self, origin: &str, text: &str) -> SpecErrors {
        let mut source = Source::new(text);
        let mut kept = self.kept;
        kept.sort_by_key(|(place, ..)| place.mark);
        let errors = kept.into_iter().map(|(place, message, help)| SpecError {
            path: origin.to_owned(),
            line: Some(place.mark.line),
            column: Some(place.mark.column),
            field: plain(&place.path),
            message,
            help,
            snippet: source.snippet(place.mark),
        });
        SpecErrors::new(origin, errors.collect(), self.omitted)
    }
}

/// Returns the first 60 characters of what a user wrote, for a message.
pub(super) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Replaces characters that would steer a terminal.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}
