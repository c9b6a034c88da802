use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use api::{Body, BodyError, allowed_trailers};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::access::Noting;
use crate::balance::{Measured, Permit};

/// An answer's body. Holds the replica's permit, and the request's measurement, until it ended or was dropped.
pub(crate) struct Tracked {
    inner: Body,
    held: Option<Held>,
    /// Told when the body has ended, if somebody looks on.
    noting: Option<Box<Noting>>,
}

struct Held {
    measured: Measured,
    /// Dropped after the measurement, so that a request is counted as ended before the next one starts.
    _permit: Option<Permit>,
}

impl Tracked {
    pub(crate) fn new(inner: Body, measured: Measured, permit: Option<Permit>) -> Self {
        let held = Some(Held { measured, _permit: permit });
        Self { inner, held, noting: None }
    }

    /// A body of no Service.
    pub(crate) fn untracked(inner: Body) -> Self {
        Self { inner, held: None, noting: None }
    }

    /// Tells of the request once the body has ended.
    pub(crate) fn noted(self, noting: Option<Box<Noting>>) -> Self {
        Self { noting, ..self }
    }

    /// Counts it at a Service until it ended.
    pub(crate) fn measured(self, measured: Measured) -> Self {
        Self::new(self.inner, measured, None)
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let (Some(Err(_)), Some(held)) = (&frame, &mut self.held) {
            held.measured.failed();
        }
        if let (Some(Err(error)), Some(noting)) = (&frame, &mut self.noting) {
            noting.broke_off(error);
        }
        if !matches!(frame, Some(Ok(_))) || self.inner.is_end_stream() {
            self.held = None;
            self.noting = None;
        }
        Poll::Ready(frame.map(|frame| frame.map(allowed_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
