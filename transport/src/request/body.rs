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
    /// What came of it when it was begun.
    first: Option<Frame<Bytes>>,
}

impl Answer {
    pub(super) fn new(inner: Incoming, sender: Sender, link: Arc<Link>) -> Self {
        let mut answer = Self { inner, connection: Some((sender, link)), first: None };
        if answer.inner.is_end_stream() {
            answer.ended();
        }
        answer
    }

    /// Takes the first of it; fails if it has broken off already.
    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if self.first.is_none()
            && let Some(frame) = ready!(Pin::new(&mut *self).poll_frame(cx))
        {
            self.first = Some(frame?);
        }
        Poll::Ready(Ok(()))
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
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
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
        self.first.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if let Some(data) = self.first.as_ref().and_then(Frame::data_ref) {
            let held = data.len() as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + held);
            }
            hint.set_lower(hint.lower() + held);
        }
        hint
    }
}
