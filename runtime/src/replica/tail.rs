use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{Replica, failure::GuestFailure, task::GuestTask, turn::Turn};

/// Resolves when a guest must not go on: its deadline passed, or its replica was stopped.
pub(super) fn end_of(turn: &Turn, replica: &Arc<Replica>) -> BoxFuture<'static, GuestFailure> {
    let deadline = tokio::time::sleep_until(turn.deadline.into());
    let killed = replica.killed().clone().cancelled_owned();
    let replica = replica.clone();
    Box::pin(async move {
        tokio::select! {
            () = killed => GuestFailure::Stopped,
            () = deadline => {
                replica.deadline_passed();
                GuestFailure::Deadline
            }
        }
    })
}

/// A guest that goes on in a task of its own: after its response head, or because it computes for long.
pub(super) struct Tail {
    task: JoinHandle<Result<(), GuestFailure>>,
    bound: bool,
}

impl Tail {
    pub(super) fn spawn(on: &Handle, guest: GuestTask, turn: Arc<Turn>, replica: &Arc<Replica>) -> Self {
        let end = end_of(&turn, replica);
        let task = on.spawn(async move {
            let mut guest = guest;
            tokio::select! {
                biased;
                outcome = &mut guest => outcome,
                failure = end => {
                    // Before the guest is dropped, and its body with it.
                    turn.fail(&failure);
                    Err(failure)
                }
            }
        });
        Self { task, bound: true }
    }

    /// Lets the guest finish what it does after its answer, within its deadline.
    pub(super) fn release(&mut self) {
        self.bound = false;
    }

    pub(super) fn task(&mut self) -> &mut JoinHandle<Result<(), GuestFailure>> {
        &mut self.task
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if self.bound {
            self.task.abort();
        }
    }
}
