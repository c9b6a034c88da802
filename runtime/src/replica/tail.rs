use std::{future::poll_fn, sync::Arc, task::Poll};

use futures::{FutureExt, future::BoxFuture};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{Replica, failure::GuestFailure, task::GuestTask, turn::Turn};

/// Resolves when a guest must not go on: its deadline passed, or its replica was stopped.
pub(super) fn end_of(turn: &Arc<Turn>, replica: &Arc<Replica>) -> BoxFuture<'static, GuestFailure> {
    let deadline = tokio::time::sleep_until(turn.deadline.into());
    let killed = replica.killed().clone().cancelled_owned();
    let (turn, replica) = (turn.clone(), replica.clone());
    Box::pin(async move {
        tokio::select! {
            () = killed => GuestFailure::Stopped,
            () = deadline => {
                replica.deadline_passed(&turn);
                GuestFailure::Deadline
            }
        }
    })
}

type Outcome = Result<(), GuestFailure>;

/// A guest that goes on in a task of its own. Dropped, it ends the guest.
pub(super) type Tail = AbortOnDropHandle<Outcome>;

/// Lets a guest go on after its response head, on this thread's runtime while it does not compute for long.
pub(super) fn go_on(guest: GuestTask, turn: Arc<Turn>, replica: &Arc<Replica>) -> Tail {
    if turn.overran() {
        return go_on_in_background(guest, turn, replica);
    }
    let (here, replica) = (Handle::current(), replica.clone());
    AbortOnDropHandle::new(here.spawn(async move {
        let mut guest = Some(guest);
        let end = end_of(&turn, &replica);
        tokio::select! {
            biased;
            outcome = until_it_overruns(&mut guest, &turn) => match (outcome, guest) {
                (None, Some(guest)) => go_on_in_background(guest, turn, &replica).await.unwrap_or(Err(GuestFailure::Stopped)),
                (outcome, _) => outcome.unwrap_or(Ok(())),
            },
            // Noted before the guest is dropped, and its body with it.
            failure = end => Err(fail(&turn, failure)),
        }
    }))
}

/// Lets a guest go on where it does not keep others from their work.
pub(super) fn go_on_in_background(guest: GuestTask, turn: Arc<Turn>, replica: &Arc<Replica>) -> Tail {
    go_on_at(replica.host.background(), guest, turn, replica)
}

/// As [`go_on_in_background`], by these threads.
pub(super) fn go_on_at(threads: &Handle, guest: GuestTask, turn: Arc<Turn>, replica: &Arc<Replica>) -> Tail {
    turn.move_to_background();
    let replica = replica.clone();
    AbortOnDropHandle::new(threads.spawn(async move {
        let mut guest = guest;
        // Its clock is that of these threads: that of the thread which took the request may end before the guest does.
        let end = end_of(&turn, &replica);
        tokio::select! {
            biased;
            outcome = &mut guest => outcome,
            failure = end => Err(fail(&turn, failure)),
        }
    }))
}

fn fail(turn: &Turn, failure: GuestFailure) -> GuestFailure {
    turn.fail(&failure);
    failure
}

/// Drives the guest to its end, or gives `None` when it has computed through its first ticks.
async fn until_it_overruns(guest: &mut Option<GuestTask>, turn: &Turn) -> Option<Outcome> {
    poll_fn(|cx| {
        let Some(running) = guest else { return Poll::Ready(None) };
        match running.poll_unpin(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if turn.overran() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
