use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use api::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{carried::unpacked, link::Link, pool::Sender};

/// What is held of an answer at most. Whatever is longer takes many packets anyway, and cannot be kept from breaking off.
const HELD_BYTES: usize = 16 * 1024;

/// An answer's body on its way from a worker. When it has ended well, its connection takes another request.
pub(super) struct Answer {
    inner: Incoming,
    connection: Option<(Sender, Arc<Link>)>,
    /// What has come of it and was not passed on.
    held: VecDeque<Frame<Bytes>>,
}

impl Answer {
    pub(super) fn new(inner: Incoming, sender: Sender, link: Arc<Link>) -> Self {
        let mut answer = Self { inner, connection: Some((sender, link)), held: VecDeque::new() };
        if answer.inner.is_end_stream() {
            answer.ended();
        }
        answer
    }

    /// Holds the first of it, or if `whole` all of it up to [`HELD_BYTES`]; fails if it has broken off already.
    pub(super) fn poll_held(&mut self, whole: bool, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        while !self.inner.is_end_stream()
            && (self.held.is_empty() || (whole && self.held_bytes() < HELD_BYTES))
            && let Some(frame) = ready!(self.poll_inner(cx))
        {
            self.held.push_back(frame?);
        }
        Poll::Ready(Ok(()))
    }

    fn held_bytes(&self) -> usize {
        self.held.iter().filter_map(Frame::data_ref).map(Bytes::len).sum()
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.connection = None,
            Some(Ok(frame)) if !self.inner.is_end_stream() && frame.is_data() => {}
            _ => self.ended(),
        }
        let broken = |error: hyper::Error| BodyError::Closed(format!("the worker broke off: {error}"));
        Poll::Ready(frame.map(|frame| frame.map(unpacked).map_err(broken)))
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
        match self.held.pop_front() {
            Some(held) => Poll::Ready(Some(Ok(held))),
            None => self.poll_inner(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let held = self.held_bytes() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(hint.lower() + held);
        hint
    }
}
