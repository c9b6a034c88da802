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
    /// Takes bytes and gives each line that is complete, without its end.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(String)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.finish(&mut line);
        }
        self.keep(bytes);
    }

    /// Gives what is there of a line without an end, if anything is.
    pub(crate) fn flush(&mut self, mut line: impl FnMut(String)) {
        if !self.partial.is_empty() {
            self.finish(&mut line);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte more than fits, so that it can be seen that something was cut.
        let room = (LogLine::MAX_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    fn finish(&mut self, line: &mut impl FnMut(String)) {
        if self.partial.last() == Some(&b'\r') && !self.cut {
            self.partial.pop();
        }
        let mut text = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        self.cut = false;
        cut(&mut text);
        line(text);
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
            splitter.feed(chunk, |line| lines.push(line));
        }
        splitter.flush(|line| lines.push(line));
        lines
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
