use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use api::{Body, BodyError};
use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::WasiBody;

/// Whether all of a request was sent.
pub(super) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(super) fn is_whole(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A request whose body tells when it was read to its end.
pub(super) fn watched(request: Request<WasiBody>) -> (Request<Body>, Sent) {
    let whole = Arc::new(AtomicBool::new(http_body::Body::is_end_stream(request.body())));
    let sent = Sent(whole.clone());
    (request.map(|inner| Sending { inner, whole }.boxed_unsync()), sent)
}

struct Sending {
    inner: WasiBody,
    whole: Arc<AtomicBool>,
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if !matches!(&frame, Some(Ok(_))) || self.inner.is_end_stream() {
            self.whole.store(true, Relaxed);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Guest(error.to_string()))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
