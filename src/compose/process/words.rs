use std::time::Duration;

use api::WorkerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

use crate::terminal::print_error;

/// The longest line in bytes; what is beyond is cut off.
const MAX_LINE: usize = 16 << 10;
/// Lines that are printed within [`WINDOW`]; further ones are counted.
const MAX_LINES: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(10);

/// Prints what a worker's process prints, line by line, until its end. It has no file and no terminal of its own: a guest that has
/// broken out there neither fills a disk so nor speaks to a terminal.
pub(in crate::compose) async fn hand_on(worker: WorkerName, mut said: impl AsyncRead + Unpin) {
    let (mut lines, mut pace) = (Lines::default(), Pace::new(Instant::now()));
    let mut piece = vec![0; MAX_LINE];
    loop {
        let read = said.read(&mut piece).await.unwrap_or_default();
        let print = |line: &str| {
            if let Some(kept_back) = pace.next(Instant::now()) {
                if kept_back > 0 {
                    print_error(format_args!("worker `{worker}`: {kept_back} lines of its process were not printed"));
                }
                print_error(line);
            }
        };
        if read == 0 {
            return lines.end(print);
        }
        lines.take(&piece[..read], print);
    }
}

/// Puts lines together.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            let room = MAX_LINE - self.line.len();
            self.line.extend(text.unwrap_or(piece).iter().take(room));
            if text.is_some() {
                each(&String::from_utf8_lossy(&self.line));
                self.line.clear();
            }
        }
    }

    fn end(self, mut last: impl FnMut(&str)) {
        if !self.line.is_empty() {
            last(&String::from_utf8_lossy(&self.line));
        }
    }
}

/// Counts lines within a window of time.
struct Pace {
    since: Instant,
    printed: u32,
    kept_back: u64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, printed: 0, kept_back: 0 }
    }

    /// Whether another is printed, and how many before it were not.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if now - self.since >= WINDOW {
            (self.since, self.printed) = (now, 0);
        }
        if self.printed >= MAX_LINES {
            self.kept_back += 1;
            return None;
        }
        self.printed += 1;
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_cut() {
        let (mut lines, mut said) = (Lines::default(), Vec::new());
        for piece in [&b"one\ntw"[..], b"o\n\n", &b"x".repeat(MAX_LINE), &b"x".repeat(MAX_LINE), b"\nlast"] {
            lines.take(piece, |line| said.push(line.to_owned()));
        }
        lines.end(|line| said.push(line.to_owned()));
        let long = "x".repeat(MAX_LINE);
        assert_eq!(said, ["one", "two", "", &long, "last"]);
    }

    #[test]
    fn of_too_many_lines_the_rest_is_counted() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let printed = (0..MAX_LINES * 2).filter(|_| pace.next(now).is_some()).count();
        assert_eq!(printed, MAX_LINES as usize);
        assert_eq!(pace.next(now + WINDOW), Some(u64::from(MAX_LINES)));
        assert_eq!(pace.next(now + WINDOW), Some(0));
    }
}
