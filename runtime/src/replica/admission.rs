use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use tokio::sync::Notify;

/// How many requests a replica works on, and whether it takes more.
pub(super) struct Admission {
    in_flight: AtomicU32,
    /// Of these, those whose answer has been given: their guests go on with something else.
    answered: AtomicU32,
    /// So many may be in flight.
    slots: AtomicU32,
    waiting: AtomicU32,
    closed: AtomicBool,
    emptied: Notify,
    freed: Notify,
}

/// Why a request is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoEntry {
    Stopping,
    Full,
    /// It is full of guests that have answered: their clients' next requests may be here before they end.
    FullOfAnswered,
}

impl NoEntry {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Stopping => "the replica is stopping",
            Self::Full | Self::FullOfAnswered => "the replica is at its concurrency",
        }
    }
}

impl Admission {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            slots: AtomicU32::new(slots),
            waiting: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            emptied: Notify::new(),
            freed: Notify::new(),
        }
    }

    /// Takes a request in, or says why not. Who is in must [`leave`](Self::leave).
    pub(super) fn enter(&self) -> Result<(), NoEntry> {
        let slots = self.slots.load(SeqCst);
        // Never counted beyond the slots, not even for a moment: who waits would take that for a request, and wait on.
        if self.in_flight.try_update(SeqCst, SeqCst, |n| (n < slots).then_some(n + 1)).is_err() {
            return Err(match (self.closed.load(SeqCst), self.answered.load(SeqCst)) {
                (true, _) => NoEntry::Stopping,
                (false, 0) => NoEntry::Full,
                (false, _) => NoEntry::FullOfAnswered,
            });
        }
        // After the count, so that `close` either is seen here or sees this request.
        if self.closed.load(SeqCst) {
            self.leave(false);
            return Err(NoEntry::Stopping);
        }
        Ok(())
    }

    /// Takes a request in as soon as a guest ends that has answered already. As many wait as may be in flight.
    pub(super) async fn enter_after_answered(&self) -> Result<(), NoEntry> {
        let _waiting = Waiting::among(&self.waiting);
        if self.waiting.load(SeqCst) > self.slots.load(SeqCst) {
            return Err(NoEntry::Full);
        }
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Before it is looked at, so that no end is missed.
            freed.as_mut().enable();
            match self.enter() {
                Err(NoEntry::FullOfAnswered) => freed.await,
                entered => return entered,
            }
        }
    }

    /// A request has its answer; its guest goes on.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, SeqCst);
    }

    /// What [`answered`](Self::answered) counted does not count any more.
    pub(super) fn not_answered(&self) {
        self.answered.fetch_sub(1, SeqCst);
    }

    pub(super) fn leave(&self, was_answered: bool) {
        if was_answered {
            self.not_answered();
        }
        if self.in_flight.fetch_sub(1, SeqCst) == 1 && self.closed.load(SeqCst) {
            self.emptied.notify_one();
        }
        if self.waiting.load(SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(SeqCst)
    }

    pub(super) fn slots(&self) -> u32 {
        self.slots.load(SeqCst)
    }

    /// From now on so many may be in flight. Those that are in stay.
    pub(super) fn set_slots(&self, slots: u32) {
        self.slots.store(slots, SeqCst);
        self.freed.notify_waiters();
    }

    /// From now on nothing is taken in.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.freed.notify_waiters();
    }

    /// Resolves when nothing is in flight. Only after [`close`](Self::close).
    pub(super) async fn emptied(&self) {
        while self.in_flight() != 0 {
            self.emptied.notified().await;
        }
    }
}

/// Somebody waits, until this is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
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
        assert_eq!(admission.enter(), Err(NoEntry::Full));
        admission.leave(false);
        assert!(admission.enter().is_ok());
    }

    #[test]
    fn a_closed_replica_empties() {
        let admission = Admission::new(2);
        admission.enter().unwrap();
        admission.close();
        assert_eq!(admission.enter(), Err(NoEntry::Stopping));
        let mut emptied = Box::pin(admission.emptied());
        assert!((&mut emptied).now_or_never().is_none());
        admission.leave(false);
        assert!(emptied.now_or_never().is_some());
    }

    #[test]
    fn who_finds_it_full_of_answered_requests_waits_until_one_of_their_guests_ends() {
        let admission = Admission::new(1);
        admission.enter().unwrap();
        assert_eq!(
            admission.enter_after_answered().now_or_never(),
            Some(Err(NoEntry::Full)),
            "no answer was given yet"
        );
        admission.answered();
        assert_eq!(admission.enter(), Err(NoEntry::FullOfAnswered));
        let mut next = Box::pin(admission.enter_after_answered());
        assert!((&mut next).now_or_never().is_none());
        admission.leave(true);
        assert_eq!(next.now_or_never(), Some(Ok(())));
        assert_eq!((admission.in_flight(), admission.waiting.load(SeqCst)), (1, 0));
    }

    #[test]
    fn who_waits_is_sent_away_when_the_replica_stops() {
        let admission = Admission::new(1);
        admission.enter().unwrap();
        admission.answered();
        let mut next = Box::pin(admission.enter_after_answered());
        assert!((&mut next).now_or_never().is_none());
        admission.close();
        assert_eq!(next.now_or_never(), Some(Err(NoEntry::Stopping)));
    }
}
