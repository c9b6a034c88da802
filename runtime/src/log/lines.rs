use api::replica::LogLine;

/// Stands at the end of a line that was cut.
const CUT_MARK: &str = " … (cut)";

/// Makes lines of the bytes that a guest writes. A line that is too long is cut, and its rest skipped.
#[derive(Default)]
pub(crate) struct LineSplitter {
    partial: Vec<u8>,
    cut: bool,
}

impl LineSplitter {
    /// Takes bytes and gives each line that is complete, without its end, until one is refused. Answers how many more there were.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(String) -> bool) -> u64 {
        let mut skipped = 0;
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if !line(self.finish()) {
                let ends = bytes.iter().filter(|&&byte| byte == b'\n').count();
                let last = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
                (skipped, bytes) = (ends as u64, &bytes[last..]);
                break;
            }
        }
        self.keep(bytes);
        skipped
    }

    /// Gives what is there of a line without an end, if anything is.
    pub(crate) fn flush(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.finish())
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte more than fits, so that it can be seen that something was cut.
        let room = (LogLine::MAX_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    fn finish(&mut self) -> String {
        if self.partial.last() == Some(&b'\r') && !self.cut {
            self.partial.pop();
        }
        let mut text = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        self.cut = false;
        cut(&mut text);
        text
    }
}

/// Cuts a text to the size of a line, between characters.
pub(super) fn cut(text: &mut String) {
    if text.len() > LogLine::MAX_BYTES {
        text.truncate(text.floor_char_boundary(LogLine::MAX_BYTES - CUT_MARK.len()));
        text.push_str(CUT_MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        for chunk in chunks {
            splitter.feed(chunk, |line| {
                lines.push(line);
                true
            });
        }
        lines.extend(splitter.flush());
        lines
    }

    #[test]
    fn after_a_line_that_is_refused_the_others_are_only_counted_and_what_is_unfinished_stays() {
        let (mut splitter, mut given) = (LineSplitter::default(), Vec::new());
        let skipped = splitter.feed(b"one\ntwo\nthree\n\nfour\nfi", |line| {
            given.push(line);
            given.len() < 2
        });
        assert_eq!((given, skipped), (vec!["one".to_owned(), "two".to_owned()], 3));
        assert_eq!(splitter.feed(b"ve\n", |line| line == "five"), 0);
        assert_eq!(splitter.flush(), None);
    }

    #[test]
    fn lines_are_joined_over_writes_and_the_last_needs_no_end() {
        assert_eq!(lines(&[b"he", b"llo\nwor", b"ld\r\n", b"\n", b"end"]), ["hello", "world", "", "end"]);
    }

    #[test]
    fn nothing_written_is_no_line() {
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; LogLine::MAX_BYTES * 3];
        let lines = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() <= LogLine::MAX_BYTES && lines[0].ends_with(CUT_MARK));
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_not_cut() {
        let line = vec![b'x'; LogLine::MAX_BYTES];
        assert_eq!(lines(&[&line, b"\n"]), [String::from_utf8(line.clone()).unwrap()]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }
}
