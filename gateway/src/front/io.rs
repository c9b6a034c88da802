use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use api::http1::{Checked, Refuse, Refused, Violation};
use futures::FutureExt;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::{protocol::Protocol, watch::ConnectionWatch};
use crate::{
    refusal::{Reason, Refusal},
    shared::Shared,
};

/// How often it is looked whether a client is still there whose input has ended, or waits to be read.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What every answer of HTTP/1 begins with.
const FIRST_BYTE: &[u8] = b"H";

/// A socket that tells its watch when the client sends and when it does not take.
///
/// With HTTP/1 it also tells a client that has left from one that has only ended its input and waits (RFC 9112, 9.6): both
/// look the same, until something is sent. So the first byte of the answer goes ahead of the rest. Who is there waits on;
/// for who is not the system answers that the connection is reset, and the request ends.
///
/// And it sends trailers that no head has named, which hyper leaves out: in place of the last chunk, which is empty, goes one
/// with the trailers.
pub(super) struct WatchedIo {
    inner: TokioIo<Checked<TcpStream, Told>>,
    watch: Rc<ConnectionWatch>,
    protocol: Protocol,
    /// Since the client's input has ended, or waits to be read: when to look for the client.
    look: Option<Pin<Box<Sleep>>>,
    /// The first byte of the answer was sent ahead.
    ahead: bool,
    /// What is still to be sent of a last chunk with trailers.
    last_chunk: Vec<u8>,
}

/// The last chunk of a body, as hyper ends one: in a piece of its own, where it knows of no trailers.
const EMPTY_LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Tells a client what is wrong with the bytes that it sent.
pub(super) struct Told {
    shared: Arc<Shared>,
    watch: Rc<ConnectionWatch>,
}

impl Refuse for Told {
    fn refuse(&self, violation: Violation) -> Refused {
        let reason = match violation {
            Violation::UnknownCoding => Reason::CodingUnsupported,
            Violation::Version => Reason::VersionUnsupported,
            Violation::HeadTooLarge => Reason::HeadTooLarge,
            _ => Reason::BadRequest,
        };
        self.shared.refusals.count(reason);
        let limit = self.shared.config.max_header_bytes;
        let message = match violation {
            Violation::HeadTooLarge => format!("{violation}; the limit is {limit} bytes"),
            _ => violation.to_string(),
        };
        Refused { content_type: "application/json", body: Refusal::new(reason, message).text(None) }
    }

    fn awaits_head(&self) -> bool {
        self.watch.awaits_head()
    }
}

impl WatchedIo {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>, protocol: Protocol, watch: Rc<ConnectionWatch>) -> Self {
        let inner = TokioIo::new(Checked::new(stream, Told { shared, watch: watch.clone() }));
        Self { inner, watch, protocol, look: None, ahead: false, last_chunk: Vec::new() }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.inner.into_inner().into_inner()
    }

    fn stream(&self) -> &TcpStream {
        self.inner.inner().get_ref()
    }

    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => self.watch.write_blocked(),
            Poll::Ready(_) => self.watch.written(),
        }
        written
    }

    /// While the client waits for an answer: fails if it has left.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.stream().poll_read_ready(cx)?.is_pending() {
            // It sends nothing, and its input is open: it is there, and what it does will wake the connection.
            self.look = None;
            return Ok(());
        }
        // Behind bytes that wait to be read, the end of the input wakes nobody: so it is looked for.
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_AGAIN)));
        while look.as_mut().poll(cx).is_ready() {
            look.as_mut().reset(Instant::now() + LOOK_AGAIN);
            let stream = self.inner.inner().get_ref();
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            if !self.ahead && self.watch.is_unanswered() && has_ended(stream) {
                match stream.try_write(FIRST_BYTE) {
                    Ok(sent) => self.ahead = sent > 0,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Sends what is left of a last chunk with trailers.
    fn poll_last_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_chunk.is_empty() {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.last_chunk))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.last_chunk.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes pieces whose last is the empty last chunk, with one that has trailers in its place.
    fn poll_write_trailers(&mut self, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Some((end, before)) = bufs.split_last().filter(|(last, _)| ***last == *EMPTY_LAST_CHUNK) else {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        };
        let before_bytes: usize = before.iter().map(|piece| piece.len()).sum();
        let last_chunk = self.watch.trailers().clone().unwrap_or_default();
        let mut pieces = before.to_vec();
        pieces.push(io::IoSlice::new(&last_chunk));
        let sent = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &pieces))?;
        let Some(of_last) = sent.checked_sub(before_bytes).filter(|&bytes| bytes > 0) else {
            return Poll::Ready(Ok(sent));
        };
        self.last_chunk.extend_from_slice(&last_chunk[of_last..]);
        self.watch.trailers().take();
        Poll::Ready(Ok(before_bytes + end.len()))
    }

    /// Writes what follows the byte that was sent ahead.
    fn poll_write_rest(&mut self, cx: &mut Context<'_>, answer: &[u8]) -> Poll<io::Result<usize>> {
        let Some(rest) = answer.strip_prefix(FIRST_BYTE) else {
            return Poll::Ready(Err(io::Error::other("an answer does not begin as all of HTTP/1 do")));
        };
        let written = if rest.is_empty() { Poll::Ready(Ok(0)) } else { Pin::new(&mut self.inner).poll_write(cx, rest) };
        if let Poll::Ready(Ok(_)) = written {
            self.ahead = false;
        }
        written.map_ok(|bytes| bytes + FIRST_BYTE.len())
    }
}

impl Read for WatchedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.watch.has_read_enough() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.watch.bytes_read();
        }
        read
    }
}

impl Write for WatchedIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.poll_last_chunk(cx)?.is_pending() {
            return self.note(Poll::Pending);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        let written = match first.filter(|_| self.ahead) {
            Some(first) => self.poll_write_rest(cx, first),
            None if self.watch.trailers().is_some() => self.poll_write_trailers(cx, bufs),
            None => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        };
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper comes here each time that it is polled, with nothing left to write.
        if self.protocol == Protocol::Http1 && self.watch.is_busy() {
            self.poll_left(cx)?;
        }
        if self.poll_last_chunk(cx)?.is_pending() {
            return self.note(Poll::Pending);
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_last_chunk(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Whether the client has ended its input, whatever of it waits to be read.
fn has_ended(stream: &TcpStream) -> bool {
    // It waits for nothing: it tells what the system has said so far.
    stream.ready(Interest::READABLE).now_or_never().is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
}
