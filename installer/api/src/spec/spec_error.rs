//! Everything that is wrong with a cluster file, each with its place.

use std::fmt;

use serde::Serialize;

/// The errors of one cluster file, all of them, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpecErrors {
    /// The errors, sorted by line and column; never empty.
    pub errors: Vec<SpecError>,
    /// How many further errors were found and left out.
    pub omitted: usize,
    #[serde(skip)]
    origin: String,
}

/// One thing that is wrong with a cluster file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpecError {
    /// The file, as the user named it.
    pub path: String,
    /// The line, counted from 1; none where the error concerns the whole file.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    /// The field, for example `spec.hosts[1].role`; empty for the document itself.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// The line as it stands in the file, passwords taken out.
    #[serde(skip)]
    pub snippet: Option<Snippet>,
}

/// One line of the file and the part of it that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The line's text, shortened where it is long.
    pub text: String,
    /// How many characters stand before the part in question.
    pub offset: usize,
    /// How many characters the part has; 0 where it is not shown.
    pub length: usize,
}

impl SpecErrors {
    pub(super) fn new(origin: &str, errors: Vec<SpecError>, omitted: usize) -> Self {
        Self {
            errors,
            omitted,
            origin: origin.to_owned(),
        }
    }

    /// Returns the error for a file that is a directory.
    pub fn directory(origin: &str) -> Self {
        Self::whole_file(
            origin,
            "this is a directory".to_owned(),
            "name the cluster file itself, for example `-f cluster.yaml`",
        )
    }

    /// Returns the error for a file of `size` bytes, more than
    /// [`ClusterFile::MAX_BYTES`](super::ClusterFile::MAX_BYTES).
    pub fn too_large(origin: &str, size: u64) -> Self {
        let limit = super::ClusterFile::MAX_BYTES;
        Self::whole_file(
            origin,
            format!("the file has {size} bytes; a cluster file may have {limit} (1 MiB)"),
            "check that this is the file you meant: a bundle goes into `spec.bundle` by its path",
        )
    }

    /// Returns the error for a file that could not be read, with the reason
    /// the operating system gave.
    pub fn unreadable(origin: &str, reason: impl fmt::Display) -> Self {
        Self::whole_file(
            origin,
            format!("the file cannot be read: {reason}"),
            "check the path after `-f` and the file's permissions",
        )
    }

    pub(super) fn not_utf8(origin: &str, offset: usize) -> Self {
        Self::whole_file(
            origin,
            format!("the file is not UTF-8 text: byte {offset} does not fit"),
            "save it as UTF-8 text, or check that this is the file you meant",
        )
    }

    pub(super) fn empty(origin: &str) -> Self {
        Self::whole_file(
            origin,
            "the file is empty: it holds no document".to_owned(),
            "`slipway config print` prints an example to start from",
        )
    }

    fn whole_file(origin: &str, message: String, help: &str) -> Self {
        let error = SpecError {
            path: origin.to_owned(),
            line: None,
            column: None,
            field: String::new(),
            message,
            help: help.to_owned(),
            snippet: None,
        };
        Self::new(origin, vec![error], 0)
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{error}\n")?;
        }
        match self.errors.len() + self.omitted {
            1 => write!(f, "1 error in {}", self.origin),
            count => write!(f, "{count} errors in {}", self.origin),
        }?;
        if self.omitted > 0 {
            write!(f, "; the first {} are shown", self.errors.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let number = self.line.map(|line| line.to_string()).unwrap_or_default();
        let gutter = " ".repeat(number.len());
        write!(f, "{gutter} --> {}", self.path)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, " ({})", self.field)?;
        }
        writeln!(f)?;
        if let Some(snippet) = &self.snippet {
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{number} | {}", snippet.text)?;
            let indent = " ".repeat(snippet.offset);
            let carets = "^".repeat(snippet.length);
            writeln!(f, "{}", format!("{gutter} | {indent}{carets}").trim_end())?;
        }
        write!(f, "help: {}", self.help)
    }
}
