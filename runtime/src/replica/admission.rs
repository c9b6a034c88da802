use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

/// How many requests a replica works on, and whether it takes more.
pub(super) struct Admission {
    in_flight: AtomicU32,
    concurrency: u32,
    closed: AtomicBool,
    emptied: Notify,
}

impl Admission {
    pub(super) fn new(concurrency: u32) -> Self {
        Self { in_flight: AtomicU32::new(0), concurrency, closed: AtomicBool::new(false), emptied: Notify::new() }
    }

    /// Takes a request in, or says why not. Who is in must [`leave`](Self::leave).
    pub(super) fn enter(&self) -> Result<(), &'static str> {
        let before = self.in_flight.fetch_add(1, Ordering::SeqCst);
        // After the count, so that `close` either is seen here or sees this request.
        if self.closed.load(Ordering::SeqCst) {
            self.leave();
            return Err("the replica is stopping");
        }
        if before >= self.concurrency {
            self.leave();
            return Err("the replica is at its concurrency");
        }
        Ok(())
    }

    pub(super) fn leave(&self) {
        if self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 && self.closed.load(Ordering::SeqCst) {
            self.emptied.notify_one();
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// From now on nothing is taken in.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Resolves when nothing is in flight. Only after [`close`](Self::close).
    pub(super) async fn emptied(&self) {
        while self.in_flight() != 0 {
            self.emptied.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn no_more_than_the_concurrency_are_let_in() {
        let admission = Admission::new(1);
        assert!(admission.enter().is_ok());
        assert!(admission.enter().unwrap_err().contains("concurrency"));
        admission.leave();
        assert!(admission.enter().is_ok());
    }

    #[test]
    fn a_closed_replica_empties() {
        let admission = Admission::new(2);
        admission.enter().unwrap();
        admission.close();
        assert!(admission.enter().unwrap_err().contains("stopping"));
        let mut emptied = Box::pin(admission.emptied());
        assert!((&mut emptied).now_or_never().is_none());
        admission.leave();
        assert!(emptied.now_or_never().is_some());
    }
}
