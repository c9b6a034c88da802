use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use api::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{carried::unpacked, link::Link, pool::Sender};

/// An answer's body on its way from a worker. When it has ended well, its connection takes another request.
pub(super) struct Answer {
    inner: Incoming,
    connection: Option<(Sender, Arc<Link>)>,
}

impl Answer {
    pub(super) fn new(inner: Incoming, sender: Sender, link: Arc<Link>) -> Self {
        let mut answer = Self { inner, connection: Some((sender, link)) };
        if answer.inner.is_end_stream() {
            answer.ended();
        }
        answer
    }

    fn ended(&mut self) {
        if let Some((sender, link)) = self.connection.take() {
            link.keep(sender);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.connection = None,
            Some(Ok(frame)) if !self.inner.is_end_stream() && frame.is_data() => {}
            _ => self.ended(),
        }
        let broken = |error: hyper::Error| BodyError::Closed(format!("the worker broke off: {error}"));
        Poll::Ready(frame.map(|frame| frame.map(unpacked).map_err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
