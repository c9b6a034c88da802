use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{RequestScanner, Violation};

/// Given to the parser in place of what is wrong: in no part of a head is it valid, so the parser answers 400 in its turn,
/// after what it was asked before.
const NEVER_VALID: &[u8] = b"\0\r\n\r\n";

/// Says what stands in the answer to a violation.
pub trait Refuse {
    /// The body of the answer; called once for a connection.
    fn refuse(&self, violation: Violation) -> Refused;

    /// Whether an answer may be the parser's: a head is awaited, and no request is being answered.
    fn awaits_head(&self) -> bool {
        true
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct Refused {
    /// Its media type.
    pub content_type: &'static str,
    /// All of it.
    pub body: String,
}

/// A client's connection, checked by a [`RequestScanner`] on its way to a parser of HTTP/1.1.
#[derive(Debug)]
pub struct Checked<S, R> {
    stream: S,
    refuse: R,
    scanner: RequestScanner,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// All was good so far.
    Passing,
    /// All before this was passed on.
    Found { violation: Violation, in_body: bool },
    /// The parser is about to answer, which is replaced by this.
    Refused(Vec<u8>),
    /// Bytes of the answer that were written.
    Answering(Vec<u8>, usize),
    /// Nothing more is read.
    Ended,
}

impl<S, R> Checked<S, R> {
    /// `refuse` says what is answered to what is wrong.
    pub fn new(stream: S, refuse: R) -> Self {
        Self { stream, refuse, scanner: RequestScanner::default(), stage: Stage::Passing }
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The connection itself, which nothing checks any more.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S, R: Refuse> Checked<S, R> {
    /// Tells the parser of what was found: as a head that it refuses, or as a body that breaks off.
    fn stop(&mut self, violation: Violation, in_body: bool, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        if in_body || buf.remaining() < NEVER_VALID.len() {
            self.stage = Stage::Ended;
            return Err(io::Error::new(io::ErrorKind::InvalidData, violation));
        }
        buf.put_slice(NEVER_VALID);
        self.stage = Stage::Refused(answer(violation, &self.refuse.refuse(violation)));
        Ok(())
    }

    /// Where these bytes are the parser's own answer, another takes its place, which says why.
    fn look_for_the_parser(&mut self, bytes: &[u8]) {
        if !matches!(self.stage, Stage::Passing | Stage::Refused(_)) {
            return;
        }
        let Some(violation) = of_the_parser(bytes) else { return };
        match &mut self.stage {
            Stage::Refused(answer) => self.stage = Stage::Answering(std::mem::take(answer), 0),
            Stage::Passing if self.refuse.awaits_head() => {
                let answer = answer(violation, &self.refuse.refuse(violation));
                self.stage = Stage::Answering(answer, 0);
            }
            _ => {}
        }
    }
}

/// A whole answer, after which the connection ends.
fn answer(violation: Violation, refused: &Refused) -> Vec<u8> {
    let (status, Refused { content_type, body }) = (violation.status(), refused);
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the empty answer stands for that the parser gives by itself; `None` if this is another.
fn of_the_parser(answer: &[u8]) -> Option<Violation> {
    let violation = match answer.get(8..13) {
        Some(b" 400 ") => Violation::Unreadable,
        Some(b" 431 ") => Violation::HeadTooLarge,
        _ => return None,
    };
    let contains = |part: &[u8]| answer.windows(part.len()).any(|window| window == part);
    let is_it =
        answer.starts_with(b"HTTP/1.") && contains(b"\r\nconnection: close\r\n") && contains(b"content-length: 0\r\n");
    is_it.then_some(violation)
}

impl<S: AsyncRead + Unpin, R: Refuse + Unpin> AsyncRead for Checked<S, R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.stage {
            Stage::Passing => {}
            Stage::Found { violation, in_body } => return Poll::Ready(this.stop(violation, in_body, buf)),
            _ => return Poll::Ready(Ok(())),
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let Err(refusal) = this.scanner.scan(&buf.filled()[before..]) else { return Poll::Ready(Ok(())) };
        buf.set_filled(before + refusal.good_bytes);
        if refusal.good_bytes == 0 {
            return Poll::Ready(this.stop(refusal.violation, refusal.in_body, buf));
        }
        this.stage = Stage::Found { violation: refusal.violation, in_body: refusal.in_body };
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, R: Refuse + Unpin> AsyncWrite for Checked<S, R> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.look_for_the_parser(buf);
        let Stage::Answering(answer, written) = &mut this.stage else {
            return Pin::new(&mut this.stream).poll_write(cx, buf);
        };
        while *written < answer.len() {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, &answer[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => *written += bytes,
            }
        }
        this.stage = Stage::Ended;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.look_for_the_parser(first);
        if let Stage::Refused(_) | Stage::Answering(..) = self.stage {
            return self.poll_write(cx, first);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
