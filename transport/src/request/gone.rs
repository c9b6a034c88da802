//! A gateway that leaves while its request is being answered, which ends the request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

/// How often it is looked whether the gateway is still there.
const LOOK: Duration = Duration::from_millis(100);

/// A connection of which it can be told whether its other side is gone.
pub(super) trait Peer {
    /// What the system has said of it so far. It waits for nothing.
    fn is_gone(&self) -> bool;
}

impl Peer for UnixStream {
    fn is_gone(&self) -> bool {
        self.ready(Interest::READABLE).now_or_never().is_some_and(has_ended)
    }
}

impl Peer for TlsStream<TcpStream> {
    fn is_gone(&self) -> bool {
        self.get_ref().0.ready(Interest::READABLE).now_or_never().is_some_and(has_ended)
    }
}

fn has_ended(ready: io::Result<Ready>) -> bool {
    ready.is_ok_and(|ready| ready.is_read_closed())
}

/// A gateway's connection. hyper finds the end of its input where it reads, and so not behind a body that nobody reads: there
/// it is looked for. A gateway never ends its input alone.
pub(super) struct Watched<S> {
    stream: S,
    /// A body is there that was not read to its end.
    unread: Arc<AtomicBool>,
    look: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// `unread` says whether a body is there that was not read to its end.
    pub(super) fn new(stream: S, unread: Arc<AtomicBool>) -> Self {
        Self { stream, unread, look: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Peer> Watched<S> {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK)));
        while look.as_mut().poll(cx).is_ready() {
            if self.stream.is_gone() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            look.as_mut().reset(Instant::now() + LOOK);
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Peer + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper comes here each time that it is polled.
        match self.unread.load(Relaxed) {
            true => self.poll_gone(cx)?,
            false => self.look = None,
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
