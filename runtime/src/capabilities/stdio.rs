use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::replica::LogSource;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::log::{LineSplitter, ReplicaLog};

/// Bytes that a guest may write at once to stdout or stderr.
const WRITE_BYTES: usize = 64 << 10;

/// stdout or stderr of a guest: lines of the replica's log.
pub(super) struct GuestOutput {
    log: Arc<ReplicaLog>,
    source: LogSource,
}

impl GuestOutput {
    pub(super) fn new(log: Arc<ReplicaLog>, source: LogSource) -> Self {
        Self { log, source }
    }

    fn writer(&self) -> LogWriter {
        LogWriter { log: self.log.clone(), source: self.source, lines: LineSplitter::default() }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.writer())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.writer())
    }
}

/// One stream that the guest opened. A line without an end is written when it is closed.
struct LogWriter {
    log: Arc<ReplicaLog>,
    source: LogSource,
    lines: LineSplitter,
}

impl LogWriter {
    fn take(&mut self, bytes: &[u8]) {
        self.lines.feed(bytes, |line| self.log.line(self.source, line));
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.lines.flush(|line| self.log.line(self.source, line));
    }
}

impl OutputStream for LogWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[async_trait]
impl Pollable for LogWriter {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogWriter {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
