//! What becomes of a body that its request was answered without.
//!
//! A client that still sends when its connection is closed loses the answer to a reset, and one that keeps its connection
//! sends the next request into nothing. So the rest of a body is read and thrown away beside the answer, within bounds;
//! beyond them the connection is closed (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};

/// How much of a body is read that nobody wants.
const MAX_UNWANTED_BYTES: usize = 16 << 20;
/// For how long.
const MAX_UNWANTED_TIME: Duration = Duration::from_secs(5);

/// Answers as `next` does; what that leaves of the body is read on.
pub async fn after_the_answer(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::new(ReadOn { body: Some(body) }))).await
}

/// A body that is read on when it is dropped before its end.
struct ReadOn {
    /// `None` after the end.
    body: Option<Body>,
}

impl http_body::Body for ReadOn {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}

impl Drop for ReadOn {
    fn drop(&mut self) {
        let unwanted = self.body.take().filter(|body| !body.is_end_stream());
        // Without a runtime the server has ended, and its connections with it.
        let (Some(body), Ok(runtime)) = (unwanted, tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(tokio::time::timeout(MAX_UNWANTED_TIME, async move {
            let mut body = Limited::new(body, MAX_UNWANTED_BYTES);
            while let Some(Ok(_)) = body.frame().await {}
        }));
    }
}
