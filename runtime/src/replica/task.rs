use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::future::BoxFuture;

use super::{Replica, failure::GuestFailure, turn::Turn};
use crate::compile::thread_faults;

/// A guest at work, wherever it is driven from: it notes when it is polled, meters its time and survives panics.
pub(super) struct GuestTask {
    work: BoxFuture<'static, Result<(), GuestFailure>>,
    turn: Arc<Turn>,
    replica: Arc<Replica>,
}

impl GuestTask {
    pub(super) fn new(
        work: BoxFuture<'static, Result<(), GuestFailure>>,
        turn: Arc<Turn>,
        replica: Arc<Replica>,
    ) -> Self {
        Self { work, turn, replica }
    }
}

impl Future for GuestTask {
    type Output = Result<(), GuestFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.turn.polling();
        let keeping = &self.replica.component.keeping;
        let faults_before = (keeping.counts() && !self.replica.reuses()).then(thread_faults);
        let began = Instant::now();
        let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(cx)));
        let now = Instant::now();
        if let Some(before) = faults_before {
            self.replica.component.keeping.add_faults(thread_faults().saturating_sub(before));
        }
        self.replica.computed(now - began);
        if let Some(cpu) = self.turn.cpu() {
            cpu.charge(now, now - began);
        }
        polled.unwrap_or_else(|panic| {
            let reason = format!("the host failed: {}", message(panic.as_ref()));
            self.turn.fail(&reason);
            Poll::Ready(Err(self.replica.misbehaved(reason, &self.turn)))
        })
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
