use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use api::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

/// A request's body of which a copy is kept, up to a limit, so that it can be sent again.
pub(super) struct KeptBody {
    inner: Body,
    frames: Vec<Bytes>,
    kept_bytes: usize,
    limit_bytes: usize,
    /// More was sent than is kept, or something that cannot be kept: it cannot be sent again.
    passed: bool,
    ended: bool,
}

impl KeptBody {
    pub(super) fn new(inner: Body, limit_bytes: usize) -> Arc<Mutex<Self>> {
        let ended = inner.is_end_stream();
        Arc::new(Mutex::new(Self { inner, frames: Vec::new(), kept_bytes: 0, limit_bytes, passed: false, ended }))
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.passed
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) if !self.passed && self.kept_bytes + data.len() <= self.limit_bytes => {
                self.kept_bytes += data.len();
                self.frames.push(data.clone());
            }
            _ => {
                self.passed = true;
                self.frames = Vec::new();
            }
        }
    }
}

/// The body as one replica is sent it: first what is kept, then what still comes.
pub(super) struct Copy {
    body: Arc<Mutex<KeptBody>>,
    /// Frames that this one has given.
    given: usize,
    given_bytes: u64,
}

impl Copy {
    pub(super) fn new(body: Arc<Mutex<KeptBody>>) -> Self {
        Self { body, given: 0, given_bytes: 0 }
    }
}

impl http_body::Body for Copy {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let shared = self.body.clone();
        let mut body = shared.lock();
        if let Some(kept) = body.frames.get(self.given) {
            self.given += 1;
            self.given_bytes += kept.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(kept.clone()))));
        }
        if body.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut body.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                body.keep(frame);
                self.given = body.frames.len();
                self.given_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Some(Err(_)) => body.passed = true,
            None => body.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let body = self.body.lock();
        self.given >= body.frames.len() && (body.ended || body.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.lock();
        if body.passed {
            return body.inner.size_hint();
        }
        let kept = (body.kept_bytes as u64).saturating_sub(self.given_bytes);
        let rest = body.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(kept + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(kept + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn body(pieces: &[&'static str]) -> Body {
        let frames: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
    }

    fn text(copy: Copy) -> String {
        String::from_utf8(block_on(copy.collect()).unwrap().to_bytes().into()).unwrap()
    }

    #[test]
    fn a_body_within_the_limit_is_sent_again_as_it_was() {
        let kept = KeptBody::new(body(&["a", "bc"]), 3);
        let mut first = Copy::new(kept.clone());
        block_on(first.frame()).unwrap().unwrap();
        drop(first);
        assert!(kept.lock().is_whole());
        assert_eq!(text(Copy::new(kept.clone())), "abc", "the rest was read by the second");
        assert_eq!(text(Copy::new(kept)), "abc");
    }

    #[test]
    fn a_body_beyond_the_limit_is_sent_once() {
        let kept = KeptBody::new(body(&["a", "bc", "d"]), 2);
        assert_eq!(text(Copy::new(kept.clone())), "abcd");
        assert!(!kept.lock().is_whole());
    }

    #[test]
    fn the_length_of_a_copy_is_that_of_the_whole_body() {
        let kept = KeptBody::new(api::full_body("abc"), 10);
        let mut first = Copy::new(kept.clone());
        block_on(first.frame()).unwrap().unwrap();
        assert_eq!(Copy::new(kept).size_hint().exact(), Some(3));
    }
}
