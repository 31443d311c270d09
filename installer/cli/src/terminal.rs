//! The way out: every word that the command shows goes through here.
//!
//! Host names, errors and logs come from hosts, and may hold characters that
//! move the cursor, rename the window or turn text around; they are taken out.
//! A reader that is gone, as with `slipway status | head`, ends the process
//! without a word.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};

use console::strip_ansi_codes;

/// How a process ends whose reader is gone: 128 and the number of SIGPIPE.
const BROKEN_PIPE: i32 = 141;

/// Goes back to the beginning of the line and empties it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Prints on stdout, a result.
macro_rules! out {
    ($($arg:tt)*) => {
        $crate::terminal::print($crate::terminal::Stream::Out, &format!($($arg)*))
    };
}

/// Prints a line on stdout, a result.
macro_rules! outln {
    ($($arg:tt)*) => {
        $crate::terminal::print(
            $crate::terminal::Stream::Out,
            &format!("{}\n", format_args!($($arg)*)),
        )
    };
}

/// Prints on stderr: progress, a warning, a question.
macro_rules! note {
    ($($arg:tt)*) => {
        $crate::terminal::print($crate::terminal::Stream::Note, &format!($($arg)*))
    };
}

/// Prints a line on stderr: progress, a warning, an error.
macro_rules! noteln {
    ($($arg:tt)*) => {
        $crate::terminal::print(
            $crate::terminal::Stream::Note,
            &format!("{}\n", format_args!($($arg)*)),
        )
    };
}

/// Where something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Results: stdout.
    Out,
    /// Everything else: stderr.
    Note,
}

/// Prints text. Where nobody reads it any more the process ends quietly.
pub(crate) fn print(stream: Stream, text: &str) {
    give(stream, &clean(text));
}

/// Prints text, unless nobody reads it any more: then it returns false, for
/// those who must not end on the spot.
pub(crate) fn is_read(stream: Stream, text: &str) -> bool {
    write(stream, &clean(text)).is_ok()
}

/// Prints JSON on stdout; the values in it stay what they are.
pub(crate) fn print_json(stream: Stream, json: &str) {
    give(stream, &escape(json));
}

/// Prints a line of JSON on stdout, as [`is_read`] does.
pub(crate) fn is_json_read(json: &str) -> bool {
    write(Stream::Out, &format!("{}\n", escape(json))).is_ok()
}

/// Prints bytes on stdout that are no text for people, such as a script.
pub(crate) fn print_raw(text: &str) {
    give(Stream::Out, text);
}

/// Prints the first line of an error on stderr.
pub(crate) fn print_error(message: &str) {
    let (red, plain) = if std::io::stderr().is_terminal() {
        ("\x1b[31m", "\x1b[0m")
    } else {
        ("", "")
    };
    let message = clean(message);
    give(Stream::Note, &format!("{red}error{plain}: {message}\n"));
}

/// Shows what is being done, in place of what was shown so before; only on a terminal.
pub(crate) fn show_progress(text: &str) {
    if std::io::stderr().is_terminal() {
        give(Stream::Note, &format!("{CLEAR_LINE}{}", clean(text)));
    }
}

/// Ends the process of a command whose reader is gone.
pub(crate) fn leave_quietly() -> ! {
    std::process::exit(BROKEN_PIPE)
}

/// Returns text without what a terminal would obey: escape sequences, control
/// characters but newline and tab, and characters that turn text around.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| is_control(c) && c != '\n' && c != '\t';
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(strip_ansi_codes(text).replace(is_harmful, ""))
}

/// Escapes what JSON may hold as it is and a terminal would obey.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_control(c) && c != '\n' && c != '\t' {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// Returns whether a terminal does something else with `c` than showing it.
/// The second half are Unicode's directional formatting characters.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn give(stream: Stream, text: &str) {
    match (write(stream, text), stream) {
        (Ok(()), _) => {}
        (Err(error), _) if error.kind() == ErrorKind::BrokenPipe => leave_quietly(),
        // A full disk behind `> file`: half a result must not look like a whole one.
        (Err(error), Stream::Out) => {
            let _ = write(
                Stream::Note,
                &format!("error: cannot write to stdout: {error}\n"),
            );
            std::process::exit(1);
        }
        (Err(_), Stream::Note) => {}
    }
}

fn write(stream: Stream, text: &str) -> std::io::Result<()> {
    match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        }
        Stream::Note => std::io::stderr().lock().write_all(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        for (text, shown) in [
            ("w-1: no route\n\tto host", "w-1: no route\n\tto host"),
            ("\u{1b}[31mE\u{1b}[0m0409 x", "E0409 x"),
            ("\u{1b}]0;owned\u{7}a", "a"),
            ("\u{1b}[2J\u{1b}[1;1Hgone", "gone"),
            ("a\rb\u{8}c\u{0}d\u{7f}e", "abcde"),
            ("\u{9b}31mred", "red"),
            ("safe \u{202e}gnp.exe", "safe gnp.exe"),
            ("Größe ✓ 名前", "Größe ✓ 名前"),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
            assert!(!clean(text).contains('\u{1b}'));
        }
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "said": "a\u{1b}[2J\u{9b}\u{202e}\u{7f}\n" });
        let text = escape(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|c: char| is_control(c) && c != '\n'));
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, value);
    }
}
