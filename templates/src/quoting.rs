//! Writes text so that YAML and TOML readers see exactly one string.

use serde_json::Value;

/// Returns the value as JSON on one line, which YAML readers take as it is.
///
/// A string becomes a double-quoted scalar that is also a TOML basic string.
pub(crate) fn quoted(value: &Value) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        if is_printable(character) {
            out.push(character);
        } else {
            // Such characters stand only inside the strings of a JSON text, where
            // an escape means the same. All of them are below U+10000.
            out.push_str(&format!("\\u{:04X}", u32::from(character)));
        }
    }
    out
}

/// Returns the text as a YAML scalar: plain where no YAML 1.1 or 1.2 reader can
/// take it for anything but this string, quoted otherwise.
///
/// The result is for block context only: a plain scalar may hold commas.
pub(crate) fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(&Value::from(text))
    }
}

/// Returns the text as a literal block indented by `indent` spaces, or quoted
/// where a literal block would lose or change something.
pub(crate) fn block(text: &str, indent: usize) -> String {
    let (body, header) = match text.strip_suffix('\n') {
        Some(body) => (body, "|"),
        None => (text, "|-"),
    };
    let starts_plainly = body.starts_with(|c: char| !c.is_whitespace());
    let printable = body.chars().all(|c| c == '\n' || is_printable(c));
    if !starts_plainly || !printable || body.ends_with('\n') {
        return quoted(&Value::from(text));
    }
    let mut out = header.to_owned();
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
    }
    out
}

/// Words that YAML 1.1 or 1.2 readers take for booleans, null or numbers.
const RESERVED: [&str; 12] = [
    "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity",
];

fn is_plain(text: &str) -> bool {
    let name = text.strip_prefix("--").unwrap_or(text);
    let starts_plainly = name.starts_with(|c: char| c.is_ascii_alphabetic())
        || (name.len() == text.len() && name.starts_with('/'));
    starts_plainly
        && !text.ends_with(':')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./=,@+*:".contains(c))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// Leaves out what YAML must not hold unescaped and what YAML 1.1 takes for a
/// line break (U+0085, U+2028, U+2029): <https://yaml.org/spec/1.2.2/#51-character-set>.
fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' | '\u{A0}'..='\u{2027}' | '\u{202A}'..='\u{D7FF}' => true,
        '\u{E000}'..='\u{FFFD}' => character != '\u{FEFF}',
        '\u{10000}'.. => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWKWARD: [&str; 24] = [
        "",
        " ",
        "yes",
        "No",
        "null",
        "~",
        "1",
        "1e3",
        "0x1f",
        "12:30",
        "-",
        "---",
        "a: b",
        "a #b",
        "a\nb",
        "\n",
        "x\n\n",
        "  x",
        "\"'\\",
        "{{ a }}",
        "{% raw %}",
        "\u{85}\u{2028}\u{7f}",
        "💡",
        "tab\there\n",
    ];

    #[test]
    fn every_form_of_awkward_text_reads_back_as_the_same_text() {
        for text in AWKWARD {
            for written in [scalar(text), block(text, 2), quoted(&Value::from(text))] {
                let document = format!("key: {written}\nafter: ok\n");
                let read: Value = serde_saphyr::from_str(&document).expect("valid YAML");
                assert_eq!(read["key"], Value::from(text), "{document}");
                assert_eq!(read["after"], "ok", "{document}");
            }
        }
    }

    #[test]
    fn flags_paths_and_addresses_of_services_stay_plain() {
        for text in [
            "--secure-port=6443",
            "/etc/ssl/certs",
            "https://127.0.0.1:2379",
            "etcd",
        ] {
            assert_eq!(scalar(text), text);
        }
    }

    #[test]
    fn multi_line_text_becomes_a_literal_block() {
        assert_eq!(block("a\n\nb\n", 4), "|\n    a\n\n    b");
        assert_eq!(block("a\nb", 2), "|-\n  a\n  b");
    }
}
