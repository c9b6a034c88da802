use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use api::{BodyError, allowed_trailers};
use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// What a request's body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

/// Why a body was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BodyVerdict {
    TooLarge = 1,
    Stalled = 2,
}

/// Tells whoever waits for the answer that the request's body was cut off.
#[derive(Default)]
pub(crate) struct BodyWatch {
    verdict: AtomicU8,
    waker: AtomicWaker,
    /// The body was read to its end.
    ended: AtomicBool,
}

impl BodyWatch {
    pub(crate) fn poll_verdict(&self, cx: &Context<'_>) -> Poll<BodyVerdict> {
        self.waker.register(cx.waker());
        match self.verdict.load(Relaxed) {
            0 => Poll::Pending,
            1 => Poll::Ready(BodyVerdict::TooLarge),
            _ => Poll::Ready(BodyVerdict::Stalled),
        }
    }

    /// Whether the body was read to its end.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn ended(&self) {
        self.ended.store(true, Relaxed);
    }

    fn cut_off(&self, verdict: BodyVerdict) {
        self.verdict.store(verdict as u8, Relaxed);
        // The waker synchronises: who is woken sees the verdict.
        self.waker.wake();
    }
}

/// A request's body on its way to the replica, cut off where it passes a limit.
pub(crate) struct RequestBody<B> {
    inner: B,
    limits: BodyLimits,
    received_bytes: u64,
    ends_by: Instant,
    /// Runs while the replica waits for the next frame.
    timer: Pin<Box<Sleep>>,
    waits: bool,
    failed: bool,
    watch: Arc<BodyWatch>,
}

impl<B> RequestBody<B> {
    pub(crate) fn new(inner: B, limits: BodyLimits) -> (Self, Arc<BodyWatch>) {
        let watch = Arc::<BodyWatch>::default();
        let ends_by = Instant::now() + limits.total;
        let timer = Box::pin(sleep_until(ends_by));
        let body = Self {
            inner,
            limits,
            received_bytes: 0,
            ends_by,
            timer,
            waits: false,
            failed: false,
            watch: watch.clone(),
        };
        (body, watch)
    }

    fn cut_off(&mut self, verdict: BodyVerdict) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.failed = true;
        self.watch.cut_off(verdict);
        Poll::Ready(Some(Err(match verdict {
            BodyVerdict::TooLarge => BodyError::TooLarge { limit_bytes: self.limits.bytes },
            BodyVerdict::Stalled => BodyError::Stalled { idle_ms: self.limits.idle.as_millis() as u64 },
        })))
    }

    /// No frame is there: waits for one no longer than the limits allow.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waits {
            self.waits = true;
            let patience = (Instant::now() + self.limits.idle).min(self.ends_by);
            self.timer.as_mut().reset(patience);
        }
        self.timer.as_mut().poll(cx)
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.failed {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            ready!(this.poll_patience(cx));
            return this.cut_off(BodyVerdict::Stalled);
        };
        this.waits = false;
        match frame {
            None => {
                this.watch.ended();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                this.failed = true;
                Poll::Ready(Some(Err(BodyError::Closed(with_cause(&error)))))
            }
            Some(Ok(frame)) => {
                this.received_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.received_bytes > this.limits.bytes {
                    return this.cut_off(BodyVerdict::TooLarge);
                }
                if this.inner.is_end_stream() {
                    this.watch.ended();
                }
                Poll::Ready(Some(Ok(allowed_trailers(frame))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An error with what it came from at last: which line of a body is wrong, say.
fn with_cause(error: &(dyn Error + 'static)) -> String {
    let cause = std::iter::successors(error.source(), |cause| (*cause).source()).last();
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
