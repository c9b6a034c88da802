use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::linger::Bounds;

/// How bodies are read on that were answered before their end.
pub(super) struct ReadingOn {
    pub(super) bounds: Bounds,
    pub(super) draining: CancellationToken,
    /// Where it is done, whoever drops the body.
    pub(super) runtime: Handle,
}

/// A request's body, as it comes.
///
/// What nobody wants of it is read and thrown away beside the answer, within bounds; beyond them its stream is reset, or its
/// connection ends. Reset at once, as RFC 9113 (8.1) allows, clients that still send may lose the answer with the stream; and
/// clients of HTTP/1.1 may have begun with the next request on a connection that ends for what is left.
pub(super) struct Received {
    /// `None` after its end.
    body: Option<Incoming>,
    reading_on: Option<Arc<ReadingOn>>,
}

impl Received {
    /// Without `reading_on` the connection takes care of what is left.
    pub(super) fn new(body: Incoming, reading_on: Option<Arc<ReadingOn>>) -> Self {
        Self { body: Some(body), reading_on }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(reading_on) = self.reading_on.take()
            && let Some(body) = self.body.take().filter(|body| !body.is_end_stream())
        {
            let runtime = reading_on.runtime.clone();
            runtime.spawn(read_on(body, reading_on));
        }
    }
}

async fn read_on(mut body: Incoming, how: Arc<ReadingOn>) {
    let mut left = how.bounds.bytes;
    let reading = async {
        while let Ok(Some(Ok(frame))) = timeout(how.bounds.idle, body.frame()).await {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    tokio::select! {
        () = reading => {}
        () = sleep(how.bounds.total) => {}
        () = how.draining.cancelled() => {}
    }
}
