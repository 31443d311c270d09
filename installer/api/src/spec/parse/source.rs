//! The file's lines, fit to be shown: no passwords, no control characters.

use std::collections::BTreeSet;

use super::tree::Mark;
use crate::spec::Snippet;

/// A key that contains one of these words and does not end in `file` holds a
/// secret. No field of the cluster file does, but people try.
const SECRET_WORDS: [&str; 6] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "privatekey",
    "certificatekey",
];

const REDACTED: &str = "[redacted]";

/// Longer lines are cut around the part that an error is about.
const MAX_SHOWN: usize = 110;
const SHOWN_BEFORE: usize = 60;

/// The lines of a file.
pub(super) struct Source<'a> {
    lines: Vec<&'a str>,
    secret_lines: BTreeSet<usize>,
    /// The line asked for last: a long one often holds many errors.
    last: Option<ShownLine>,
}

struct ShownLine {
    index: usize,
    chars: Vec<char>,
    /// Up to this character the line is shown as it is written.
    faithful: usize,
}

impl<'a> Source<'a> {
    /// Splits `text` where YAML does: at LF, CR LF and CR.
    pub fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = text
            .split_inclusive('\n')
            .flat_map(|line| {
                let line = line.strip_suffix('\n').unwrap_or(line);
                line.strip_suffix('\r').unwrap_or(line).split('\r')
            })
            .collect();
        let secret_lines = continued_secrets(&lines);
        Self {
            lines,
            secret_lines,
            last: None,
        }
    }

    /// Returns the line that `mark` lies on.
    pub fn snippet(&mut self, mark: Mark) -> Option<Snippet> {
        let shown = self.shown(mark.line.checked_sub(1)?)?;
        let count = shown.chars.len();
        let start = (mark.column - 1).min(count);
        // Behind a redaction columns no longer fit; a caret there would mislead.
        let length = if start < shown.faithful || shown.faithful == count {
            mark.length.min(count - start).max(1)
        } else {
            0
        };
        let cut = if count > MAX_SHOWN {
            start.saturating_sub(SHOWN_BEFORE)
        } else {
            0
        };
        let end = count.min(cut + MAX_SHOWN);
        let before = if cut > 0 { "…" } else { "" };
        let after = if end < count { "…" } else { "" };
        let middle: String = shown.chars[cut..end].iter().collect();
        let offset = start - cut + usize::from(cut > 0);
        Some(Snippet {
            text: format!("{before}{}{after}", middle.trim_end()),
            offset: if length == 0 { 0 } else { offset },
            length: length.min((MAX_SHOWN + 1).saturating_sub(offset)),
        })
    }

    fn shown(&mut self, index: usize) -> Option<&ShownLine> {
        let line = *self.lines.get(index)?;
        if self.last.as_ref().is_none_or(|last| last.index != index) {
            let redacted = if self.secret_lines.contains(&index) {
                REDACTED.to_owned()
            } else {
                redact_login(&redact_field(line))
            };
            let both = redacted.chars().zip(line.chars());
            self.last = Some(ShownLine {
                index,
                faithful: both.take_while(|(shown, written)| shown == written).count(),
                chars: redacted.chars().map(visible).collect(),
            });
        }
        self.last.as_ref()
    }
}

/// Replaces what would steer a terminal or shift the columns.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Returns the lines that continue a secret's value: those indented deeper
/// than its key.
fn continued_secrets(lines: &[&str]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut secret_column = None;
    for (index, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if let Some(column) = secret_column
            && (indent > column || line.trim().is_empty())
        {
            found.insert(index);
            continue;
        }
        secret_column = secret_key(line).map(|key| key.start);
    }
    found
}

/// Replaces the value of the first secret field and all that follows on the line.
fn redact_field(line: &str) -> String {
    match secret_key(line) {
        Some(key) if !line[key.value..].trim().is_empty() => {
            format!("{} {REDACTED}", &line[..key.value])
        }
        Some(_) | None => line.to_owned(),
    }
}

struct SecretKey {
    /// The byte at which the key begins.
    start: usize,
    /// The byte after the colon.
    value: usize,
}

/// Finds the first key on the line that names a secret.
fn secret_key(line: &str) -> Option<SecretKey> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(':').find_map(|(colon, _)| {
        let before = line[..colon].trim_end();
        let before = before.strip_suffix(['"', '\'']).unwrap_or(before);
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_word(*c))
            .last()
            .map(|(start, _)| start)?;
        let key = before[start..].to_lowercase().replace(['_', '-'], "");
        let is_secret =
            !key.ends_with("file") && SECRET_WORDS.iter().any(|word| key.contains(word));
        is_secret.then_some(SecretKey {
            start,
            value: colon + 1,
        })
    })
}

/// Replaces the password in `user:password@host`.
fn redact_login(line: &str) -> String {
    let mut parts: Vec<String> = line.split('@').map(str::to_owned).collect();
    let Some((_host, logins)) = parts.split_last_mut() else {
        return line.to_owned();
    };
    for login in logins {
        let start = login
            .char_indices()
            .rev()
            .take_while(|(_, c)| !c.is_whitespace() && !"/\"'[]{},".contains(*c))
            .last()
            .map_or(login.len(), |(start, _)| start);
        if let Some(colon) = login[start..].find(':') {
            login.truncate(start + colon + 1);
            login.push_str(REDACTED);
        }
    }
    parts.join("@")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize) -> String {
        let mark = Mark {
            line,
            column: 1,
            length: 1,
        };
        Source::new(text).snippet(mark).unwrap().text
    }

    #[test]
    fn values_of_secret_fields_are_not_shown() {
        assert_eq!(shown("  password: hunter2", 1), "  password: [redacted]");
        assert_eq!(
            shown("{ user: a, \"sudoPassword\": hunter2, rol: x }", 1),
            "{ user: a, \"sudoPassword\": [redacted]"
        );
        assert_eq!(
            shown("ssh_passphrase : x", 1),
            "ssh_passphrase : [redacted]"
        );
        assert_eq!(shown("passwordFile: ~/pw", 1), "passwordFile: ~/pw");
    }

    #[test]
    fn secrets_over_several_lines_are_not_shown() {
        let text = "a:\n- password: |\n    hunter2\n\n    hunter3\n  b: 1\n";
        assert_eq!(shown(text, 3), "[redacted]");
        assert_eq!(shown(text, 5), "[redacted]");
        assert_eq!(shown(text, 6), "  b: 1");
    }

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        assert_eq!(
            shown("- https://me:hunter2@mirror/ x:y@z", 1),
            "- https://me:[redacted]@mirror/ x:[redacted]@z"
        );
        assert_eq!(
            shown("proxyJump: ops@bastion:22", 1),
            "proxyJump: ops@bastion:22"
        );
    }

    #[test]
    fn lines_end_where_yaml_ends_them_and_lose_control_characters() {
        assert_eq!(shown("a\r\nb\rc\u{1b}[31m\n", 3), "c\u{fffd}[31m");
    }

    #[test]
    fn long_lines_are_cut_around_the_error() {
        let line = format!("{}HERE{}", "x".repeat(5000), "y".repeat(5000));
        let mark = Mark {
            line: 1,
            column: 5001,
            length: 4,
        };
        let snippet = Source::new(&line).snippet(mark).unwrap();
        let chars: Vec<char> = snippet.text.chars().collect();
        let marked: String = chars[snippet.offset..snippet.offset + snippet.length]
            .iter()
            .collect();
        assert_eq!(marked, "HERE");
        assert!(chars.len() < 120);
    }
}
