//! Bodies of requests that were answered before they were read to the end.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use api::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

use super::carried::unpacked;

/// How long, and how much, is read that nobody wants: of a body beside its answer, and of a connection after its last one.
pub(super) const READ_ON: Duration = Duration::from_secs(5);
pub(super) const READ_ON_BYTES: u64 = 64 << 20;

/// A request's body. What nobody wants of it is read beside the answer: hyper would close the connection where some is left,
/// and the gateway, which has its answer, might be sending the next request on it.
pub(super) struct ReadOn {
    /// `None` after its end.
    body: Option<Incoming>,
    /// For who watches the connection: whether it is not at its end.
    unread: Arc<AtomicBool>,
    /// Where it is read, whoever drops it.
    runtime: Handle,
}

impl ReadOn {
    pub(super) fn new(body: Incoming, unread: Arc<AtomicBool>) -> Self {
        unread.store(true, Relaxed);
        Self { body: Some(body), unread, runtime: Handle::current() }
    }
}

impl Body for ReadOn {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if frame.is_none() || body.is_end_stream() {
            self.unread.store(false, Relaxed);
        }
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        let broken = |error: hyper::Error| BodyError::Closed(error.to_string());
        Poll::Ready(frame.map(|frame| frame.map(unpacked).map_err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ReadOn {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            let unread = self.unread.clone();
            self.runtime.spawn(timeout(READ_ON, async move {
                if to_its_end(body).await {
                    unread.store(false, Relaxed);
                }
            }));
        }
    }
}

/// Whether it was all there.
async fn to_its_end(mut body: Incoming) -> bool {
    let mut left = READ_ON_BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(bytes) else { return false };
        left = rest;
    }
    true
}
