//! What others wrote is shown on a terminal without being obeyed by it: guests' lines, names of components, and what
//! registries and servers answer may hold characters that clear the screen, forge lines, or set the title. A pipe gets them as
//! they are, since programs want the bytes.
//!
//! Everything that this program prints goes through here.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
    io::{self, IsTerminal, Write},
    sync::LazyLock,
};

static OUTPUT: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
static ERRORS: LazyLock<bool> = LazyLock::new(|| io::stderr().is_terminal());

/// Whose colours stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Nobody's.
    Escaped,
    /// The writer's, who is this program or a compiler of the user. Of all other controls, theirs are escaped too.
    Kept,
}

/// Whether standard output is a terminal.
pub(crate) fn is_output() -> bool {
    *OUTPUT
}

/// Whether standard error is a terminal.
pub(crate) fn is_errors() -> bool {
    *ERRORS
}

/// Whether the terminal does nothing but show characters, one line after the other.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// What a terminal has that does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// Columns that lines of standard output are to fit in: those of `COLUMNS`, else the terminal's. `None`: a pipe, whose readers
/// want whole lines.
pub(crate) fn width() -> Option<usize> {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|width| *width > 0);
    let own = || Some(usize::from(terminal_size::terminal_size_of(io::stdout())?.0.0)).filter(|width| *width > 0);
    asked.or_else(|| is_output().then(|| own().unwrap_or(USUAL_WIDTH)))
}

/// A text as standard output may have it.
pub(crate) fn for_output(text: impl Display, colours: Colours) -> String {
    shown(text, colours, is_output())
}

/// Prints a line to standard output. A reader that has gone away, as `head` does, ends the program quietly.
pub(crate) fn print_line(line: impl Display) {
    if print(line).is_err() {
        std::process::exit(0);
    }
}

/// Prints a line to standard output.
///
/// # Errors
/// Nobody reads it any more.
pub(crate) fn print(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{}", for_output(line, Colours::Escaped))
}

/// Prints a text to standard output, to which nothing is added.
///
/// # Errors
/// Nobody reads it any more.
pub(crate) fn print_text(text: impl Display) -> io::Result<()> {
    write!(io::stdout(), "{}", for_output(text, Colours::Escaped))?;
    io::stdout().flush()
}

/// Prints a line to standard error. Where nobody reads that, there is nobody to tell.
pub(crate) fn print_error(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", shown(line, Colours::Escaped, is_errors()));
}

/// Standard error for diagnostics, which colour themselves. What they quote of others is escaped. Where nobody reads them, nothing
/// fails: that would be told there again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Diagnostics;

impl Write for Diagnostics {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = if is_errors() {
            let text = String::from_utf8_lossy(bytes);
            io::stderr().write_all(escaped(&text, Colours::Kept).as_bytes())
        } else {
            io::stderr().write_all(bytes)
        };
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn shown(text: impl Display, colours: Colours, on_terminal: bool) -> String {
    let text = text.to_string();
    if !on_terminal {
        return text;
    }
    match escaped(&text, colours) {
        Cow::Borrowed(_) => text,
        Cow::Owned(escaped) => escaped,
    }
}

/// Writes what a terminal would obey as `\u001b`, which JSON and YAML read as the same character.
fn escaped(text: &str, colours: Colours) -> Cow<'_, str> {
    let Some(first) = text.find(is_obeyed) else { return Cow::Borrowed(text) };
    let (clean, mut rest) = text.split_at(first);
    let mut escaped = clean.to_owned();
    while let Some(next) = rest.chars().next() {
        let colour = if colours == Colours::Kept { colour(rest) } else { "" };
        if !colour.is_empty() {
            escaped.push_str(colour);
            rest = &rest[colour.len()..];
            continue;
        }
        if is_obeyed(next) {
            // All of these are in the first plane, and have four digits.
            let _ = write!(escaped, "\\u{:04x}", u32::from(next));
        } else {
            escaped.push(next);
        }
        rest = &rest[next.len_utf8()..];
    }
    Cow::Owned(escaped)
}

/// Controls (C0 but for the ends of lines and tabs, DEL, C1), and what turns the direction of text or ends lines unseen.
fn is_obeyed(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => true,
        other => other.is_control(),
    }
}

/// The colour that a text begins with: `ESC [`, numbers, `m`.
fn colour(text: &str) -> &str {
    let Some(sequence) = text.strip_prefix("\u{1b}[") else { return "" };
    let numbers = sequence.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if sequence[numbers..].starts_with('m') { &text[..numbers + 3] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let hostile =
            "\u{1b}]0;title\u{7}\u{1b}[2Ja\rb\0c\u{7f}\u{9b}31m\u{85}x\u{202e}txt.exe\u{2066}\u{200f}\u{2028}";
        assert_eq!(
            escaped(hostile, Colours::Escaped),
            "\\u001b]0;title\\u0007\\u001b[2Ja\\u000db\\u0000c\\u007f\\u009b31m\\u0085x\\u202etxt.exe\\u2066\\u200f\\u2028"
        );
        for colours in [Colours::Escaped, Colours::Kept] {
            assert!(!escaped(hostile, colours).chars().any(is_obeyed));
        }
    }

    #[test]
    fn text_of_any_script_lines_and_tabs_stay_as_they_are() {
        for text in ["", "one\n\ttwo", "שלום, مرحبا, 你好, 👩\u{200d}🚀", "\u{fffd}"] {
            assert!(matches!(escaped(text, Colours::Escaped), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn only_colours_of_who_may_colour_stay() {
        let coloured = "\u{1b}[1;31mred\u{1b}[0m\u{1b}[m";
        assert_eq!(escaped(coloured, Colours::Kept), coloured);
        assert_eq!(escaped(coloured, Colours::Escaped), "\\u001b[1;31mred\\u001b[0m\\u001b[m");
        assert_eq!(escaped("\u{1b}[2J\u{1b}[1m\u{1b}[", Colours::Kept), "\\u001b[2J\u{1b}[1m\\u001b[");
    }

    #[test]
    fn a_pipe_gets_what_was_written() {
        assert_eq!(shown("\u{1b}[2J", Colours::Escaped, false), "\u{1b}[2J");
        assert_eq!(shown("\u{1b}[2J", Colours::Escaped, true), "\\u001b[2J");
    }
}
