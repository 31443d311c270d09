//! What can go wrong while text is rendered.

use thiserror::Error;

/// Why a file or an object could not be rendered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A template did not accept its context: a bug in this crate.
    #[error("cannot render `{template}`")]
    Render {
        /// The template's name.
        template: &'static str,
        /// What the template engine said.
        #[source]
        source: tera::Error,
    },
    /// Rendered text is not the YAML it should be: a bug in this crate.
    #[error("cannot read the rendered `{template}` as YAML")]
    Parse {
        /// The template's name.
        template: &'static str,
        /// What the parser said.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A document could not be written as YAML.
    #[error("cannot write `{document}` as YAML")]
    Write {
        /// The document's name.
        document: &'static str,
        /// What the writer said.
        #[source]
        source: Box<serde_saphyr::SerializeError>,
    },
    /// A user's patch does not fit.
    #[error("the patch cannot be applied: {reason}")]
    Patch {
        /// Why.
        reason: String,
    },
    /// A value has no faithful form in the file it is meant for.
    #[error("{field} {value:?} cannot be written: {reason}")]
    InvalidValue {
        /// The field, in the user's words.
        field: String,
        /// The value as given.
        value: String,
        /// Why this file cannot hold it.
        reason: &'static str,
    },
}
