//! YAML as a tree that remembers where everything stood.

use std::sync::Arc;

/// A stretch of characters on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The number of characters, at least 1.
    pub length: usize,
}

/// A value in the file. Cloning is cheap: an alias shares what it names.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where the value begins; for an alias, where the alias stands.
    pub mark: Mark,
    body: Arc<Body>,
}

#[derive(Debug)]
struct Body {
    content: Content,
    nodes: usize,
    height: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Content {
    /// Text, a number, a boolean or nothing.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the file's order; keys are unique.
    Mapping(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

/// A scalar as it stands in the file.
#[derive(Debug)]
pub(super) struct Scalar {
    /// The text, escapes resolved.
    pub text: String,
    /// Whether it stood without quotes and may thus be something else than text.
    pub plain: bool,
}

/// What an unquoted scalar means by YAML 1.2's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarKind {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number of any notation.
    Number,
    /// Everything else.
    Text,
}

impl Node {
    /// Returns a node with `content` that begins at `mark`.
    pub fn new(mark: Mark, content: Content) -> Self {
        let children: &mut dyn Iterator<Item = &Self> = match &content {
            Content::Scalar(_) => &mut std::iter::empty(),
            Content::Sequence(items) => &mut items.iter(),
            Content::Mapping(entries) => &mut entries.iter().map(|entry| &entry.value),
        };
        let (nodes, height) = children.fold((1, 1), |(nodes, height), child| {
            let nodes = child.nodes().saturating_add(nodes);
            (nodes, height.max(child.height() + 1))
        });
        let body = Arc::new(Body {
            content,
            nodes,
            height,
        });
        Self { mark, body }
    }

    /// Returns the same value standing at `mark`.
    pub fn aliased_at(&self, mark: Mark) -> Self {
        Self {
            mark,
            body: Arc::clone(&self.body),
        }
    }

    /// Returns what the node is.
    pub fn content(&self) -> &Content {
        &self.body.content
    }

    /// Returns the number of nodes below and including this one, aliases followed.
    pub fn nodes(&self) -> usize {
        self.body.nodes
    }

    /// Returns how many collections and scalars lie inside each other, at least 1.
    pub fn height(&self) -> usize {
        self.body.height
    }

    /// Returns whether the file says nothing here.
    pub fn is_null(&self) -> bool {
        matches!(self.content(), Content::Scalar(scalar) if scalar.kind() == ScalarKind::Null)
    }

    /// Returns the entry `key` of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match self.content() {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            Content::Scalar(_) | Content::Sequence(_) => None,
        }
    }

    /// Returns the text of a scalar, whatever it means.
    pub fn scalar_text(&self) -> Option<&str> {
        match self.content() {
            Content::Scalar(scalar) => Some(&scalar.text),
            Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }

    /// Returns what the node is, in a user's words.
    pub fn description(&self) -> &'static str {
        match self.content() {
            Content::Scalar(scalar) => match scalar.kind() {
                ScalarKind::Null => "nothing",
                ScalarKind::Boolean(_) => "a boolean",
                ScalarKind::Number => "a number",
                ScalarKind::Text => "text",
            },
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

impl Scalar {
    /// Returns what the scalar means.
    pub fn kind(&self) -> ScalarKind {
        if !self.plain {
            return ScalarKind::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
            "true" | "True" | "TRUE" => ScalarKind::Boolean(true),
            "false" | "False" | "FALSE" => ScalarKind::Boolean(false),
            text if is_number(text) => ScalarKind::Number,
            _ => ScalarKind::Text,
        }
    }
}

/// Says whether `text` is a number by YAML 1.2's core schema (section 10.3.2).
fn is_number(text: &str) -> bool {
    let all = |digits: &str, is_digit: fn(char) -> bool| {
        !digits.is_empty() && digits.chars().all(is_digit)
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |digit| digit.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |digit| digit.is_digit(8));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    // Rust reads every decimal notation of the schema, and words such as `inf` besides.
    unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok()
}
