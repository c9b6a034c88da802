//! What Cargo says while it builds: how far it is, what it does, and what is wrong.

/// How many crates are compiled, of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Crates {
    pub(crate) done: u64,
    pub(crate) all: u64,
    /// The first of those that are compiled now: `core` takes half a minute.
    pub(crate) now: String,
    /// Another Cargo is at the same folder, such as an editor's, and has to end first.
    pub(crate) waits: bool,
}

/// Cargo's column of verbs is so wide.
const VERB_WIDTH: usize = 12;
/// So much of what is wrong is kept; the rest is read and dropped.
const MAX_KEPT_BYTES: usize = 1 << 20;
/// A line is cut here.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Divides what Cargo writes to its standard error.
#[derive(Debug, Default)]
pub(super) struct Status {
    line: Vec<u8>,
    kept: Vec<u8>,
}

impl Status {
    /// Takes further bytes. Returns how far the build is, if they tell.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<Crates> {
        let mut told = None;
        for byte in bytes {
            match byte {
                b'\r' => told = self.end(false).or(told),
                b'\n' => told = self.end(true).or(told),
                byte if self.line.len() < MAX_LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
        told
    }

    /// What is not progress, and what Cargo does, but what is wrong.
    pub(super) fn into_messages(mut self) -> String {
        self.end(true);
        String::from_utf8_lossy(&self.kept).trim_end().to_owned()
    }

    fn end(&mut self, whole: bool) -> Option<Crates> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let plain = without_colours(&line);
        if let Some(crates) = crates_of(&plain) {
            return Some(crates);
        }
        if waits(&plain) {
            return Some(Crates { waits: true, ..Crates::default() });
        }
        if whole && !is_status(&plain) && self.kept.len() + line.len() < MAX_KEPT_BYTES {
            // What erased the line of progress before it.
            self.kept.extend(line.trim_start_matches("\u{1b}[K").as_bytes());
            self.kept.push(b'\n');
        }
        None
    }
}

/// `Building [====>    ] 12/25: serde, http`.
fn crates_of(line: &str) -> Option<Crates> {
    let (_, numbers) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (done, rest) = numbers.split_once('/')?;
    let (all, names) = rest.split_once(':').unwrap_or((rest, ""));
    let now = names.split(',').next().unwrap_or_default();
    let now = now.trim().trim_end_matches("...").trim_end_matches("(build)").trim_end_matches("(build.rs)").to_owned();
    Some(Crates { done: done.trim().parse().ok()?, all: all.trim().parse().ok()?, now, waits: false })
}

/// `Blocking waiting for file lock on build directory`.
fn waits(line: &str) -> bool {
    line.trim_start().starts_with("Blocking waiting for file lock")
}

/// A verb at the right of its column: `   Compiling serde v1.0.0`.
fn is_status(line: &str) -> bool {
    let Some((column, rest)) = line.split_at_checked(VERB_WIDTH) else { return false };
    let verb = column.trim_start();
    rest.starts_with(' ')
        && verb.starts_with(|c: char| c.is_ascii_uppercase())
        && verb.chars().all(|c| c.is_ascii_alphabetic())
}

/// The text without escape sequences that set colours or erase (ECMA-48, CSI).
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_and_only_what_is_wrong_is_kept() {
        let mut status = Status::default();
        assert_eq!(status.feed(b"\x1b[K   Compiling serde v1.0.0\n"), None);
        let told = status.feed(b"    \x1b[1mBuilding\x1b[0m [=>     ] 12/25: serde\r");
        assert_eq!(told, Some(Crates { done: 12, all: 25, now: "serde".to_owned(), waits: false }));
        let told = status.feed(b"    Building [=>     ] 13/25: http(build), cor...\r");
        assert_eq!(told.map(|crates| crates.now), Some("http".to_owned()));
        let told = status.feed(b"    Building [=>     ] 24/25\r");
        assert_eq!(told, Some(Crates { done: 24, all: 25, ..Crates::default() }));
        let told = status.feed(b"    Blocking waiting for file lock on build directory\n");
        assert_eq!(told, Some(Crates { waits: true, ..Crates::default() }));
        status.feed(b"\x1b[K\x1b[31merror\x1b[0m: expected `;`\n  --> src/lib.rs:1:2\n");
        status.feed(b"    Finished `release` profile\n");
        assert_eq!(status.into_messages(), "\x1b[31merror\x1b[0m: expected `;`\n  --> src/lib.rs:1:2");
    }
}
