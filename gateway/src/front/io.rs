use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::ReadBuf,
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::{protocol::Protocol, watch::ConnectionWatch};

/// How often it is looked whether a client whose input has ended is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What every answer of HTTP/1 begins with.
const FIRST_BYTE: &[u8] = b"H";

/// A socket that tells its watch when the client sends and when it does not take.
///
/// With HTTP/1 it also tells a client that has left from one that has only ended its input and waits (RFC 9112, 9.6): both
/// look the same, until something is sent. So the first byte of the answer goes ahead of the rest. Who is there waits on;
/// for who is not the system answers that the connection is reset, and the request ends.
pub(super) struct WatchedIo {
    inner: TokioIo<TcpStream>,
    watch: Rc<ConnectionWatch>,
    protocol: Protocol,
    /// Since the client's input has ended: when to look for the client.
    ended: Option<Pin<Box<Sleep>>>,
    /// The first byte of the answer was sent ahead.
    ahead: bool,
}

impl WatchedIo {
    pub(super) fn new(stream: TcpStream, protocol: Protocol, watch: Rc<ConnectionWatch>) -> Self {
        Self { inner: TokioIo::new(stream), watch, protocol, ended: None, ahead: false }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.inner.into_inner()
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
        if self.ended.is_none() {
            let mut byte = [0];
            match self.inner.inner().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
                Poll::Ready(Ok(0)) => self.ended = Some(Box::pin(sleep(LOOK_AGAIN))),
                Poll::Ready(Err(error)) => return Err(error),
                // It sends on, or nothing: it is there.
                Poll::Ready(Ok(_)) | Poll::Pending => {}
            }
        }
        let Some(timer) = &mut self.ended else { return Ok(()) };
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + LOOK_AGAIN);
            let stream = self.inner.inner();
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            if !self.ahead && self.watch.is_unanswered() {
                match stream.try_write(FIRST_BYTE) {
                    Ok(sent) => self.ahead = sent > 0,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
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
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.watch.bytes_read();
        }
        read
    }
}

impl Write for WatchedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.ahead {
            true => self.poll_write_rest(cx, buf),
            false => Pin::new(&mut self.inner).poll_write(cx, buf),
        };
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        let written = match first.filter(|_| self.ahead) {
            Some(first) => self.poll_write_rest(cx, first),
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
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
