use memchr::memchr;

use super::Violation;

/// Follows requests through a stream of bytes: where heads, bodies and chunks begin and end (RFC 9112). Bodies are passed over,
/// not looked at.
///
/// It takes a part of what the parser behind it takes, and reads that part as the parser does; what the parser itself
/// refuses, such as a blank before a colon, is left to it.
#[derive(Debug, Default)]
pub struct RequestScanner {
    state: State,
    framing: Framing,
    /// The beginning of a line whose end has not come. Its size is bounded by what the parser reads of a line.
    line: Vec<u8>,
}

/// What comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request line, perhaps after empty lines.
    #[default]
    RequestLine,
    /// A field of the head, or the head's end.
    Field,
    /// So many bytes of a body that has a length.
    Body(u64),
    /// The line with a chunk's size.
    ChunkSize,
    /// So many bytes of a chunk, the end of its line included.
    Chunk(u64),
    /// A trailer field, or the end of the body.
    Trailer,
    /// Another protocol: nothing is looked at any more.
    Other,
}

/// What the fields of a head say of its body.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

/// What is refused, and from where.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub violation: Violation,
    /// How many of the bytes that were scanned last may be passed on: all before the line that is wrong.
    pub good_bytes: usize,
    /// It is a body's framing: of a request whose head was passed on.
    pub in_body: bool,
}

/// How an HTTP/2 connection begins (RFC 9113, 3.4).
const HTTP2_REQUEST_LINE: &[u8] = b"PRI * HTTP/2.0";
/// How each connection with TLS begins (RFC 8446, 5.1). No method does.
const TLS_HANDSHAKE: u8 = 0x16;
/// Ends each chunk.
const LINE_END_BYTES: u64 = 2;

impl RequestScanner {
    /// Looks at the bytes that come next. After a refusal no more may be scanned.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Other => return Ok(()),
                State::Body(left) | State::Chunk(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= passed as u64;
                    at += passed;
                    if *left == 0 {
                        self.state = if self.framing.chunked { State::ChunkSize } else { State::RequestLine };
                    }
                }
                State::RequestLine if self.line.is_empty() && rest[0] == TLS_HANDSHAKE => {
                    return Err(Refusal { violation: Violation::Tls, good_bytes: at, in_body: false });
                }
                _ => {
                    let Some(end) = memchr(b'\n', rest) else {
                        self.line.extend_from_slice(rest);
                        return Ok(());
                    };
                    let in_body = matches!(self.state, State::ChunkSize | State::Trailer);
                    let refused = |violation| Refusal { violation, good_bytes: at, in_body };
                    self.line_ends(&rest[..end]).map_err(refused)?;
                    at += end + 1;
                }
            }
        }
        Ok(())
    }

    /// Takes what came of a line before its line feed.
    fn line_ends(&mut self, last: &[u8]) -> Result<(), Violation> {
        if self.line.is_empty() {
            return self.take(last);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(last);
        self.take(&line)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Violation> {
        let Some(line) = line.strip_suffix(b"\r") else { return Err(Violation::BareLineFeed) };
        match self.state {
            // Some clients send an empty line after a body (RFC 9112, 2.2).
            State::RequestLine if line.is_empty() => {}
            State::RequestLine if line == HTTP2_REQUEST_LINE => self.state = State::Other,
            State::RequestLine => {
                check_request_line(line)?;
                self.framing = Framing::default();
                self.state = State::Field;
            }
            State::Field if line.is_empty() => self.state = self.framing.first_of_body(),
            State::Field => self.framing.field(line)?,
            State::ChunkSize => {
                self.state = match chunk_size(line)? {
                    0 => State::Trailer,
                    size => State::Chunk(size.saturating_add(LINE_END_BYTES)),
                }
            }
            State::Trailer if line.is_empty() => self.state = State::RequestLine,
            State::Trailer => {}
            State::Body(_) | State::Chunk(_) | State::Other => {}
        }
        Ok(())
    }
}

/// Whether it has a version that is known, and nothing but a method and a target before. What these may be the parser knows.
fn check_request_line(line: &[u8]) -> Result<(), Violation> {
    let Some((before, version)) = line.len().checked_sub(VERSION_BYTES).and_then(|at| line.split_at_checked(at)) else {
        return Err(Violation::RequestLine);
    };
    match (before.iter().filter(|&&byte| byte == b' ').count(), version) {
        (1, b" HTTP/1.1" | b" HTTP/1.0") => Ok(()),
        (1, [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Violation::Version)
        }
        _ => Err(Violation::RequestLine),
    }
}

/// Bytes of ` HTTP/1.1`.
const VERSION_BYTES: usize = 9;

impl Framing {
    /// What follows the head.
    fn first_of_body(&self) -> State {
        match self.length {
            _ if self.chunked => State::ChunkSize,
            Some(length) if length > 0 => State::Body(length),
            _ => State::RequestLine,
        }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Violation> {
        match line[0] {
            b' ' | b'\t' => Err(Violation::FoldedLine),
            b'c' | b'C' => value_of(line, b"content-length").map_or(Ok(()), |value| self.length(value)),
            b't' | b'T' => value_of(line, b"transfer-encoding").map_or(Ok(()), |value| self.coding(value)),
            _ => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Violation> {
        // `parse` alone would take a sign.
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse().ok()).ok_or(Violation::InvalidLength)?;
        if self.length.is_some_and(|before| before != length) {
            return Err(Violation::TwoLengths);
        }
        self.length = Some(length);
        self.agree()
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Violation> {
        let codings = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let times = codings().filter(|coding| is_chunked(coding)).count();
        if self.chunked || times != 1 || !codings().next_back().is_some_and(is_chunked) {
            return Err(Violation::NotChunkedOnce);
        }
        if codings().nth(1).is_some() {
            return Err(Violation::UnknownCoding);
        }
        self.chunked = true;
        self.agree()
    }

    fn agree(&self) -> Result<(), Violation> {
        if self.chunked && self.length.is_some() { Err(Violation::LengthAndCoding) } else { Ok(()) }
    }
}

/// The value of a line that is a field of this name, which is given in lower case.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (named, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    named.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The size that a chunk's first line says, before its extensions.
fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    if !matches!(rest.first(), None | Some(b';' | b' ' | b'\t')) {
        return Err(Violation::ChunkSize);
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    size.ok_or(Violation::ChunkSize)
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
