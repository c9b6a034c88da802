use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;

use super::{Replica, cpu::thread_cpu, failure::GuestFailure, turn::Turn};
use crate::compile::thread_faults;

/// A guest at work, wherever it is driven from: it notes when it is polled, meters its time and survives panics.
pub(super) struct GuestTask {
    work: BoxFuture<'static, Result<(), GuestFailure>>,
    turn: Arc<Turn>,
    replica: Arc<Replica>,
    /// CPU time that it has used so far, if it began in the background.
    in_background: Option<Duration>,
}

impl GuestTask {
    pub(super) fn new(
        work: BoxFuture<'static, Result<(), GuestFailure>>,
        turn: Arc<Turn>,
        replica: Arc<Replica>,
    ) -> Self {
        Self { work, turn, replica, in_background: None }
    }

    /// The same, to be begun in the background.
    pub(super) fn begun_in_background(self) -> Self {
        Self { in_background: Some(Duration::ZERO), ..self }
    }

    /// It has ended: the next requests may begin elsewhere for that.
    fn ended(&self) {
        match self.in_background {
            Some(computed) => self.replica.pace.began_in_background(computed),
            None => self.replica.pace.began_here(self.turn.overran()),
        }
    }
}

impl Future for GuestTask {
    type Output = Result<(), GuestFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.turn.polling();
        let keeping = &self.replica.component.keeping;
        let faults_before = (keeping.counts() && !self.replica.reuses()).then(thread_faults);
        let here = self.in_background.is_none() && !self.turn.is_in_background();
        let measured = self.in_background.is_some() || here && self.replica.pace.suspects();
        let cpu_before = measured.then(thread_cpu);
        let began = Instant::now();
        let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(cx)));
        let now = Instant::now();
        if let Some(before) = faults_before {
            self.replica.component.keeping.add_faults(thread_faults().saturating_sub(before));
        }
        // Not the time that passed: others may have gone first.
        let used_now = cpu_before.map(|before| thread_cpu().saturating_sub(before));
        if let (Some(used_now), Some(used)) = (used_now, &mut self.in_background) {
            *used += used_now;
        }
        if here {
            self.replica.pace.polled_here(self.turn.longest_unseen(), now, used_now);
        }
        self.replica.computed(now - began);
        if let Some(cpu) = self.turn.cpu() {
            cpu.charge(now, now - began);
        }
        if !matches!(polled, Ok(Poll::Pending)) {
            self.ended();
        }
        polled.unwrap_or_else(|panic| {
            let panic = match panic.downcast::<wasmtime::Error>() {
                // A call of the host ended it that has no error: see `Turn::called`.
                Ok(ended) => return Poll::Ready(Err(self.replica.failed(&ended, &self.turn))),
                Err(panic) => panic,
            };
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
