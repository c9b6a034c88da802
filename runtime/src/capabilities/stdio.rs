use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use api::replica::LogSource;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use crate::log::{LineSplitter, ReplicaLog};

/// Bytes that a guest may write at once to stdout or stderr.
const WRITE_BYTES: usize = 64 << 10;

/// stdout or stderr of one instance: lines of the replica's log. However many handles the guest asks for, and for however many
/// requests, what it writes is one stream.
pub(super) struct GuestOutput {
    log: Arc<ReplicaLog>,
    source: LogSource,
    /// Made when the guest first asks for a handle: many never do.
    lines: OnceLock<Arc<Lines>>,
}

impl GuestOutput {
    pub(super) fn new(log: Arc<ReplicaLog>, source: LogSource) -> Self {
        Self { log, source, lines: OnceLock::new() }
    }

    fn handle(&self) -> Handle {
        let lines = self.lines.get_or_init(|| {
            Arc::new(Lines { log: self.log.clone(), source: self.source, unfinished: Mutex::default() })
        });
        Handle(lines.clone())
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.handle())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.handle())
    }
}

/// The stream behind all handles. What is left of a line without an end is written when the instance has ended.
struct Lines {
    log: Arc<ReplicaLog>,
    source: LogSource,
    unfinished: Mutex<LineSplitter>,
}

impl Lines {
    fn take(&self, bytes: &[u8]) {
        let skipped = self.unfinished.lock().feed(bytes, |line| self.log.line_of(self.source, || line));
        self.log.drop_lines(skipped);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(line) = self.unfinished.get_mut().flush() {
            self.log.line(self.source, line);
        }
    }
}

/// One handle of it.
struct Handle(Arc<Lines>);

impl OutputStream for Handle {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::Trap(wasmtime::format_err!(
                "{} bytes were written at once to stdout or stderr: `check-write` allows {WRITE_BYTES}",
                bytes.len()
            )));
        }
        self.0.take(&bytes);
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
impl Pollable for Handle {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Handle {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
