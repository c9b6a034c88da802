use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use api::{Body, Deadline, ServeError};
use futures::{FutureExt, future::BoxFuture};
use http::{Method, Request, Response};
use tokio::sync::oneshot;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use super::{
    Replica,
    entry::Permit,
    failure::{GuestFailure, beginning},
    instance::Head,
    request::work,
    response::{self, Answer},
    tail::{Tail, end_of, go_on, go_on_in_background},
    task::GuestTask,
    turn::Turn,
};

/// One request on its way to its response head.
///
/// The guest is driven in place, on the thread that polls this. It gets a task only if it goes on after its response
/// head, and it is moved to the background if it computes for longer than the first ticks. Where nearly all do, it begins there.
pub(super) struct Serving {
    stage: Stage,
    head: oneshot::Receiver<Head>,
    turn: Arc<Turn>,
    replica: Arc<Replica>,
    answers: Answer,
}

enum Stage {
    Here {
        guest: GuestTask,
        /// Made only when the guest waits: most never do.
        end: Option<BoxFuture<'static, GuestFailure>>,
    },
    Moved(Tail),
    /// Moved, and it will give no head any more.
    Ending(Tail),
    Over,
}

type Outcome = Result<Response<Body>, GuestFailure>;

impl Serving {
    pub(super) fn new(permit: Permit, request: Request<Body>) -> Self {
        let replica = permit.replica().clone();
        let asked = request.extensions().get::<Deadline>();
        let turn = asked.map_or_else(|| replica.turn(), |Deadline(limit)| replica.turn_within(*limit));
        let turn = Arc::new(turn.of(request.headers()));
        let answers = if request.method() == Method::HEAD { Answer::HeadOnly } else { Answer::Whole };
        let (head_out, head) = oneshot::channel();
        let work = Box::pin(work(permit.of(&turn), turn.clone(), request, head_out));
        let guest = GuestTask::new(work, turn.clone(), replica.clone());
        let stage = match replica.pace.is_long() {
            true => Stage::Moved(go_on_in_background(guest.begun_in_background(), turn.clone(), &replica)),
            false => Stage::Here { guest, end: None },
        };
        Self { stage, head, turn, replica, answers }
    }

    /// Drives the guest in place, and decides where it goes on if it is not done.
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Stage::Here { guest, end } = &mut self.stage else { return Poll::Pending };
        if let Poll::Ready(outcome) = guest.poll_unpin(cx) {
            self.stage = Stage::Over;
            return Poll::Ready(self.finished(outcome));
        }
        if let Ok(head) = self.head.try_recv() {
            return Poll::Ready(self.take_guest().and_then(|guest| {
                let tail = go_on(guest, self.turn.clone(), &self.replica);
                self.streaming(head, tail)
            }));
        }
        if self.turn.overran() {
            return match self.take_guest() {
                Ok(guest) => {
                    self.stage = Stage::Moved(go_on_in_background(guest, self.turn.clone(), &self.replica));
                    self.poll_moved(cx)
                }
                Err(failure) => Poll::Ready(Err(failure)),
            };
        }
        let end = end.get_or_insert_with(|| end_of(&self.turn, &self.replica));
        end.poll_unpin(cx).map(Err)
    }

    /// Waits for the head from a guest that runs elsewhere.
    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let head = ready!(self.head.poll_unpin(cx));
        let Stage::Moved(tail) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Poll::Ready(Err(GuestFailure::Stopped));
        };
        match head {
            Ok(head) => Poll::Ready(self.streaming(head, tail)),
            Err(_) => {
                self.stage = Stage::Ending(tail);
                self.poll_ending(cx)
            }
        }
    }

    /// The guest has given up its answer: what is left is why.
    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Stage::Ending(tail) = &mut self.stage else { return Poll::Ready(Err(GuestFailure::Stopped)) };
        let outcome = ready!(tail.poll_unpin(cx)).unwrap_or(Err(GuestFailure::Stopped));
        self.stage = Stage::Over;
        Poll::Ready(Err(outcome.err().unwrap_or_else(|| self.no_answer())))
    }

    fn no_answer(&self) -> GuestFailure {
        let way_out = match self.turn.has_answered_before() {
            true => {
                "its instance had answered a request before, and seems to answer one alone: \
                 set the annotation `sampan.dev/isolation: request`, so that each request has an instance of its own"
            }
            false => "its handler returned without setting the response; what it wrote to stderr may say why",
        };
        self.misbehaved(format!("the guest ended without an answer: {way_out}"))
    }

    fn misbehaved(&self, reason: String) -> GuestFailure {
        self.replica.misbehaved(reason, &self.turn)
    }

    /// The guest gave an error for an answer. Its first line is for the client; what follows may be the host's own.
    fn error_answer(&self, code: &ErrorCode) -> GuestFailure {
        let text = beginning(code);
        let line = text.lines().next().unwrap_or_default();
        let line = line.split("\\n").next().unwrap_or_default();
        self.misbehaved(format!("the guest answered with an error: {line}"))
    }

    fn take_guest(&mut self) -> Result<GuestTask, GuestFailure> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Here { guest, .. } => Ok(guest),
            _ => Err(GuestFailure::Stopped),
        }
    }

    /// The guest is done. Its body, if it gave one, is all here.
    fn finished(&mut self, outcome: Result<(), GuestFailure>) -> Outcome {
        outcome?;
        match self.head.try_recv() {
            Ok(Ok(head)) => response::complete(head, self.answers).map_err(|why| self.misbehaved(why)),
            Ok(Err(code)) => Err(self.error_answer(&code)),
            Err(_) => Err(self.no_answer()),
        }
    }

    /// The guest goes on: its body comes while it does.
    fn streaming(&self, head: Head, tail: Tail) -> Outcome {
        let head = head.map_err(|code| self.error_answer(&code))?;
        response::streaming(head, self.answers, self.replica.clone(), self.turn.clone(), tail)
            .map_err(|why| self.misbehaved(why))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.turn.abandon();
        }
    }
}

impl Future for Serving {
    type Output = Result<Response<Body>, ServeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match self.stage {
            Stage::Here { .. } => self.poll_here(cx),
            Stage::Moved(_) => self.poll_moved(cx),
            Stage::Ending(_) => self.poll_ending(cx),
            Stage::Over => Poll::Ready(Err(GuestFailure::Stopped)),
        };
        polled.map_err(|failure| failure.into_serve_error(&self.replica.spec.limits))
    }
}
