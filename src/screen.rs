//! Lines for people: in columns, coloured on a terminal, plain in a pipe.

use std::{ffi::OsString, fmt::Display, io::Write, sync::LazyLock};

use anstyle::{AnsiColor, Style};
use http::StatusCode;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    layout,
    terminal::{self, Colours},
};

/// The column of names is at least this wide.
const NAME_WIDTH: usize = 14;

/// Colours that tell replicas apart.
const REPLICA_COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Green, AnsiColor::Yellow];

/// The bars of this process, which stand below the lines.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A bar below the lines, on a terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// So much is done, of all, and this is at work; of nothing, only the time is shown. What is waited for stands in place of that.
    pub(crate) fn show(&self, done: u64, all: u64, at_work: &str, waits: bool) {
        self.0.set_message(at_work.to_owned());
        let parts = match waits {
            true => "{prefix} waiting for {msg}, {elapsed}",
            false if all > 0 => "{prefix} {bar:20} {pos} of {len} crates, {elapsed} {msg}",
            false => "{prefix} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(parts) {
            self.0.set_style(style);
        }
        self.0.set_length(all);
        self.0.set_position(done);
        self.0.tick();
    }

    /// Takes it away.
    pub(crate) fn remove(self) {
        self.0.finish_and_clear();
        BARS.remove(&self.0);
    }
}

/// Whether colours are welcome where there is a terminal that has them (<https://no-color.org>, <https://bixense.com/clicolors>).
pub(crate) fn colour_is_welcome() -> bool {
    is_welcome(|name| std::env::var_os(name))
}

fn is_welcome(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_empty = |name| variable(name).is_none_or(|value| value.is_empty());
    let is = |name, value: &str| variable(name).is_some_and(|set| set == value);
    is_empty("NO_COLOR") && !is("CLICOLOR", "0") && !is("TERM", "dumb")
}

/// Standard output, a line at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    coloured: bool,
}

impl Screen {
    /// Colours if standard output is a terminal that welcomes them.
    pub(crate) fn new() -> Self {
        Self { coloured: terminal::is_output() && colour_is_welcome() }
    }

    /// Whether lines are coloured.
    pub(crate) fn coloured(self) -> bool {
        self.coloured
    }

    /// A bar for `name`, if there is a terminal to draw it on.
    pub(crate) fn bar(self, name: &str) -> Option<Bar> {
        let is_terminal = terminal::is_output() && terminal::is_errors() && !terminal::is_dumb();
        is_terminal.then(|| Bar(BARS.add(ProgressBar::new(0).with_prefix(self.name(name, Style::new().bold())))))
    }

    /// Something happened to `name`.
    pub(crate) fn event(self, name: &str, what: impl Display) {
        self.print(format_args!("{}  {}", self.name(name, Style::new().bold()), shown(what)));
    }

    /// Something that was waited for is done.
    pub(crate) fn success(self, name: &str, what: impl Display) {
        let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
        self.print(format_args!("{}  {}", self.name(name, green.bold()), self.paint(green, what)));
    }

    /// Something went wrong with `name`. Further lines are indented.
    pub(crate) fn failure(self, name: &str, what: impl Display) {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        self.print(format_args!("{}  {}", self.name(name, red.bold()), self.paint(red, what)));
    }

    /// A line that says that all is well.
    pub(crate) fn good(self, what: impl Display) {
        let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
        self.print(format_args!("{}", self.paint(green, what)));
    }

    /// Something is wrong with `about`.
    pub(crate) fn bad(self, about: &str, what: &str) {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let what = layout::wrapped(&format!("{about}: {what}"), 2, terminal::width());
        // Colours have no width: what is coloured has been laid out already.
        let (about, what) = what.split_at(about.len().min(what.len()));
        self.print(format_args!("{}{}", self.paint(red.bold(), about), shown(what)));
    }

    /// A line that a replica wrote.
    pub(crate) fn log(self, replica: &str, text: &str) {
        let colour = REPLICA_COLOURS[replica.bytes().map(usize::from).sum::<usize>() % REPLICA_COLOURS.len()];
        self.print(format_args!(
            "{} {}",
            self.paint(Style::new().fg_color(Some(colour.into())), format_args!("[{replica}]")),
            shown(text)
        ));
    }

    /// A request that was answered so, and why, if there is more to say; without a status, its client left.
    pub(crate) fn request(self, line: &str, status: Option<StatusCode>, why: Option<String>) {
        let colour = match status.map_or(0, |status| status.as_u16()) {
            200..400 => AnsiColor::Green,
            400..500 => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        // In one piece, so that nothing comes in between.
        let why = why.map(|why| format!("\n  {}", shown(why))).unwrap_or_default();
        self.print(format_args!("{}{why}", self.paint(Style::new().fg_color(Some(colour.into())), line)));
    }

    /// A line by itself.
    pub(crate) fn line(self, text: impl Display) {
        self.print(format_args!("{}", shown(text)));
    }

    /// What a compiler of the user said, in its own colours.
    pub(crate) fn compiler(self, messages: &str) {
        self.print(format_args!("{}", terminal::for_output(messages, Colours::Kept)));
    }

    fn name(self, name: &str, style: Style) -> String {
        let blanks = " ".repeat(NAME_WIDTH.saturating_sub(name.chars().count()));
        format!("{}{blanks}", self.paint(style, name))
    }

    fn paint(self, style: Style, what: impl Display) -> String {
        let what = shown(what);
        if self.coloured { format!("{style}{what}{style:#}") } else { what }
    }

    fn print(self, line: std::fmt::Arguments<'_>) {
        // Nobody reads any more: the server goes on all the same.
        let _ = BARS.suspend(|| writeln!(std::io::stdout(), "{line}"));
    }
}

fn shown(what: impl Display) -> String {
    terminal::for_output(what, Colours::Escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_away_where_they_are_not_wanted_or_not_understood() {
        let welcome =
            |name: &'static str, value: &'static str| is_welcome(move |asked| (asked == name).then(|| value.into()));
        assert!(welcome("TERM", "xterm-256color") && welcome("NO_COLOR", "") && welcome("CLICOLOR", "1"));
        assert!(!welcome("NO_COLOR", "1") && !welcome("CLICOLOR", "0") && !welcome("TERM", "dumb"));
    }

    #[test]
    fn names_stand_in_a_column_and_a_pipe_gets_no_colours() {
        let plain = Screen { coloured: false };
        assert_eq!(plain.name("products", Style::new().bold()), "products      ");
        assert_eq!(plain.name("a-name-that-is-longer", Style::new().bold()), "a-name-that-is-longer");
        let coloured = Screen { coloured: true };
        assert!(coloured.name("products", Style::new().bold()).starts_with("\u{1b}[1mproducts"));
    }
}
