use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use api::replica::{Failure, FailureReason};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Traps without a success between, within [`TRAP_WINDOW`], after which a replica counts as broken.
pub(super) const TRAP_LIMIT: u32 = 10;
const TRAP_WINDOW: Duration = Duration::from_secs(10);

/// Counts traps: to report them, and to notice that nothing else happens any more.
#[derive(Default)]
pub(crate) struct Health {
    /// Traps since the last success. Read on every request, so it is apart from the rest and seldom written.
    in_a_row: AtomicU32,
    traps: Mutex<Traps>,
    broken: CancellationToken,
}

#[derive(Default)]
struct Traps {
    first_in_row: Option<Instant>,
    unreported: u32,
    last: String,
    failure: Option<Failure>,
}

impl Health {
    pub(super) fn succeeded(&self) {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn trapped(&self, now: Instant, kind: FailureReason, reason: String) {
        let mut traps = self.traps.lock();
        let in_a_row = self.in_a_row.load(Ordering::Relaxed);
        let too_long_ago = traps.first_in_row.is_none_or(|first| now.duration_since(first) > TRAP_WINDOW);
        let in_a_row = if in_a_row == 0 || too_long_ago { 0 } else { in_a_row } + 1;
        if in_a_row == 1 {
            traps.first_in_row = Some(now);
        }
        self.in_a_row.store(in_a_row, Ordering::Relaxed);
        traps.unreported += 1;
        traps.last = reason;
        if in_a_row >= TRAP_LIMIT && traps.failure.is_none() {
            let message =
                format!("{in_a_row} requests in a row failed within {TRAP_WINDOW:?}; the last: {}", traps.last);
            traps.failure = Some(Failure { reason: kind, message });
            self.broken.cancel();
        }
    }

    /// Traps since the last call, and what the last one said.
    pub(crate) fn take_traps(&self) -> Option<(u32, String)> {
        let mut traps = self.traps.lock();
        let count = std::mem::take(&mut traps.unreported);
        (count > 0).then(|| (count, traps.last.clone()))
    }

    /// Resolves when the replica is broken.
    pub(crate) async fn broken(&self) -> Failure {
        self.broken.cancelled().await;
        self.traps.lock().failure.clone().expect("a failure is set before the token is cancelled")
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn trap(health: &Health, now: Instant) {
        health.trapped(now, FailureReason::Error, "boom".into());
    }

    #[test]
    fn a_row_of_traps_breaks_the_replica_and_says_the_last() {
        let (health, now) = (Health::default(), Instant::now());
        (1..TRAP_LIMIT).for_each(|_| trap(&health, now));
        assert!(health.broken().now_or_never().is_none());
        trap(&health, now);
        assert!(health.broken().now_or_never().unwrap().message.contains("boom"));
    }

    #[test]
    fn a_success_between_keeps_it_whole() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..3 {
            (1..TRAP_LIMIT).for_each(|_| trap(&health, now));
            health.succeeded();
        }
        assert!(health.broken().now_or_never().is_none());
    }

    #[test]
    fn traps_far_apart_keep_it_whole() {
        let (health, mut now) = (Health::default(), Instant::now());
        for _ in 0..TRAP_LIMIT * 2 {
            trap(&health, now);
            now += TRAP_WINDOW / 5;
        }
        assert!(health.broken().now_or_never().is_none());
    }

    #[test]
    fn each_trap_is_reported_once() {
        let (health, now) = (Health::default(), Instant::now());
        (0..2).for_each(|_| trap(&health, now));
        assert_eq!(health.take_traps(), Some((2, "boom".into())));
        assert_eq!(health.take_traps(), None);
    }
}
