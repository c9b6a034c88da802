use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use api::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Limited};
use tokio::{runtime::Handle, time::timeout};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::{Replica, tail::Tail, turn::Turn};

/// Of a body that nobody wants, because its answer is a head alone, the guest may write so much, for so long, as if it was read.
/// Then it sees its body closed.
const UNWANTED_BYTES: usize = 1 << 20;
const UNWANTED_TIME: Duration = Duration::from_secs(1);
/// How long it may go on after that: who writes without an end does not always look at whether it can.
const CLOSED_GRACE: Duration = Duration::from_secs(5);

/// The body of an answer while the guest still writes it. Dropped early, it ends the guest; once all of it was given, the
/// guest may finish what it does after its answer, within its deadline.
pub(super) struct GuestBody {
    body: HyperOutgoingBody,
    /// What is left of the announced length, if one was.
    remaining: Option<u64>,
    /// Nobody reads it: the answer is its head alone.
    unread: bool,
    turn: Arc<Turn>,
    replica: Arc<Replica>,
    tail: Option<Tail>,
}

impl GuestBody {
    pub(super) fn new(
        body: HyperOutgoingBody,
        announced: Option<u64>,
        unread: bool,
        replica: Arc<Replica>,
        turn: Arc<Turn>,
        tail: Tail,
    ) -> Self {
        Self { body, remaining: announced, unread, turn, replica, tail: Some(tail) }
    }

    /// The guest did not keep to the length that it had announced: the client can only be cut off.
    fn broken(&self, why: String) -> BodyError {
        self.replica.misbehaved(why.clone(), &self.turn);
        BodyError::Guest(why)
    }

    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        if let (Some(remaining), Some(data)) = (&mut self.remaining, frame.data_ref()) {
            match remaining.checked_sub(data.len() as u64) {
                Some(left) => {
                    *remaining = left;
                    if left == 0 {
                        // Whoever sends it asks for no more, and may not come for the end.
                        self.given();
                    }
                }
                None => return Err(self.broken("the guest wrote more bytes than it had announced".into())),
            }
        }
        Ok(frame)
    }

    /// The guest closed its body: because it was done, or because it died.
    fn end(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        if let Some(failure) = self.turn.failure() {
            return Some(Err(BodyError::Guest(failure.to_owned())));
        }
        if let Some(missing) = self.remaining.filter(|&remaining| remaining > 0) {
            return Some(Err(
                self.broken(format!("the guest left {missing} of the bytes that it had announced unwritten"))
            ));
        }
        self.given();
        None
    }

    /// All of the answer was given: from now on nothing ends the guest but itself, its deadline and its replica's end.
    fn given(&mut self) {
        let Some(tail) = self.tail.take() else { return };
        self.replica.answered(&self.turn);
        tail.detach();
    }
}

impl GuestBody {
    /// The answer is its head alone: it was given, whatever the guest writes.
    fn let_write(&mut self) {
        let Some(tail) = self.tail.take() else { return };
        self.replica.answered(&self.turn);
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let body = std::mem::replace(&mut self.body, nothing);
        // Without a runtime the worker has ended, and the guest does with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(take_unwanted(body, tail, self.replica.clone(), self.turn.clone()));
        }
    }
}

impl Drop for GuestBody {
    fn drop(&mut self) {
        if self.tail.is_none() {
            return;
        }
        if self.unread {
            return self.let_write();
        }
        if self.remaining == Some(0) {
            return self.given();
        }
        // Before the body is closed: the guest, on another thread, may see that at once.
        self.turn.abandon();
    }
}

/// Takes what a guest writes that nobody wants, so that it goes on to its end as it would otherwise, within bounds.
async fn take_unwanted(body: HyperOutgoingBody, tail: Tail, replica: Arc<Replica>, turn: Arc<Turn>) {
    let mut body = Limited::new(body, UNWANTED_BYTES);
    let taken = async {
        while let Some(frame) = body.frame().await {
            frame.map_err(drop)?;
        }
        Ok::<_, ()>(())
    };
    if timeout(UNWANTED_TIME, taken).await == Ok(Ok(())) {
        drop(tail.detach());
        return;
    }
    // Before the body is closed, as above.
    turn.abandon();
    drop(body);
    if timeout(CLOSED_GRACE, tail).await.is_err() {
        replica.wrote_without_end(&turn);
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(self.count(frame)),
            Some(Err(error)) => Some(Err(BodyError::Guest(error.to_string()))),
            None => self.end(),
        })
    }

    fn size_hint(&self) -> SizeHint {
        // Never exact, though a length may be announced: trailers can follow.
        let mut size = SizeHint::new();
        size.set_lower(self.remaining.unwrap_or(0));
        size
    }
}
