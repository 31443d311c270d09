//! Refuses values that a file without quoting could not hold faithfully.

use crate::TemplateError;

/// Passes what may stand between spaces in a unit or an environment file: no
/// whitespace, quotes, control characters, nor what systemd expands.
pub(crate) fn check_word(field: &str, value: &str) -> Result<(), TemplateError> {
    let expands = |c: char| c.is_whitespace() || c.is_control() || "\"'\\$%`".contains(c);
    refuse_if(
        value.is_empty() || value.contains(expands),
        field,
        value,
        "only one word without quotes, `\\`, `$`, `%` and spaces fits there",
    )
}

/// Passes an absolute path that is one word.
pub(crate) fn check_path(field: &str, value: &str) -> Result<(), TemplateError> {
    refuse_if(
        !value.starts_with('/'),
        field,
        value,
        "it is no absolute path",
    )?;
    check_word(field, value)
}

/// Passes a DNS name.
pub(crate) fn check_dns_name(field: &str, value: &str) -> Result<(), TemplateError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    refuse_if(
        value.is_empty() || !value.chars().all(allowed),
        field,
        value,
        "it is no DNS name",
    )
}

/// Passes text on one line.
pub(crate) fn check_line(field: &str, value: &str) -> Result<(), TemplateError> {
    refuse_if(
        value.contains(char::is_control),
        field,
        value,
        "it holds control characters",
    )
}

fn refuse_if(
    wrong: bool,
    field: &str,
    value: &str,
    reason: &'static str,
) -> Result<(), TemplateError> {
    if wrong {
        return Err(TemplateError::InvalidValue {
            field: field.to_owned(),
            value: value.to_owned(),
            reason,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_would_become_more_than_one_word_are_refused() {
        for value in ["", "a b", "a\nb", "a\"", "$A", "%h", "a\\", "'", "`id`"] {
            assert!(check_word("flag", value).is_err(), "{value:?}");
        }
        for value in ["--v=4", "--node-labels=a=b,c.d/e=f", "--x={{y}}"] {
            assert!(check_word("flag", value).is_ok(), "{value:?}");
        }
        assert!(check_path("path", "relative").is_err());
        assert!(check_dns_name("domain", "cluster.local\n}").is_err());
    }
}
