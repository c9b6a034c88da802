use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::engine::TICK;

/// Long requests in a row after which the next ones are taken for long as well.
const LONG_IN_A_ROW: u8 = 8;
/// What is remembered of a longer row, so that one short request among many long ones changes nothing.
const REMEMBERED: u8 = 2 * LONG_IN_A_ROW;
/// What a short request takes from that.
const SHORT_TAKES: u8 = 6;
/// Time without an interrupt, and CPU time in that poll, after which a guest counts as one that cannot be interrupted.
const HOLDS_UP: Duration = Duration::from_millis(10);
/// So long its requests then begin in the background, however short others are.
const HELD_AGAINST_IT: Duration = Duration::from_secs(60);

/// Whether requests of a replica compute for longer than they may on the thread that took them.
///
/// Those that do, begin where they would end up: in the background. There each processor has one of them at work, and the next
/// begins when that is done; begun where they arrive, each would have an instance and its memory before it has its turn, and
/// would keep short requests of others waiting for its first ticks. Where some are short, all begin where they arrive.
///
/// No tick interrupts a single instruction, and one that fills a large memory takes long. Of a replica that holds up the thread so,
/// all begin in the background for a while.
pub(super) struct Pace {
    row: AtomicU8,
    /// A poll took long: maybe for that, maybe because its thread waited for a processor. The next one is measured.
    suspected: AtomicBool,
    made: Instant,
    /// Milliseconds after it was made until which it is held against the guest that it held up its thread.
    holds_up_until: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            row: AtomicU8::default(),
            suspected: AtomicBool::default(),
            made: Instant::now(),
            holds_up_until: AtomicU64::default(),
        }
    }
}

impl Pace {
    /// Whether the next request is taken for long.
    pub(super) fn is_long(&self) -> bool {
        self.row.load(Relaxed) >= LONG_IN_A_ROW || self.holds_up(Instant::now)
    }

    fn holds_up(&self, now: impl FnOnce() -> Instant) -> bool {
        let until = self.holds_up_until.load(Relaxed);
        until > 0 && self.since_made(now()) < until
    }

    fn since_made(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.made).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the poll that begins is to be measured.
    pub(super) fn suspects(&self) -> bool {
        self.suspected.load(Relaxed) && self.suspected.swap(false, Relaxed)
    }

    /// A poll on the thread that took the request ends now. The guest could not be interrupted for so long in it, and used so much CPU
    /// time if that was measured.
    pub(super) fn polled_here(&self, unseen: Duration, now: Instant, used: Option<Duration>) {
        if unseen < HOLDS_UP {
            return;
        }
        match used {
            Some(used) if used >= HOLDS_UP => {
                let until = self.since_made(now).saturating_add(HELD_AGAINST_IT.as_millis() as u64);
                self.holds_up_until.store(until, Relaxed);
            }
            _ => self.suspected.store(true, Relaxed),
        }
    }

    /// A request ended that computed past its first ticks on the thread that took it, or did not.
    pub(super) fn began_here(&self, overran: bool) {
        match overran {
            true => self.long(),
            false => self.short(),
        }
    }

    /// A request ended that began in the background, and computed for so long.
    pub(super) fn began_in_background(&self, computed: Duration) {
        // Shorter than what is long on the thread that took it, or each would make the next go the other way.
        match computed >= TICK {
            true => self.long(),
            false => self.short(),
        }
    }

    fn long(&self) {
        // Requests that end at the same time may count as one: it is a guess in any case.
        let row = self.row.load(Relaxed);
        if row < REMEMBERED {
            self.row.store(row + 1, Relaxed);
        }
    }

    fn short(&self) {
        // Most requests are short, and write nothing that other threads read.
        let row = self.row.load(Relaxed);
        if row > 0 {
            self.row.store(row.saturating_sub(SHORT_TAKES), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(long: u8) -> Pace {
        let pace = Pace::default();
        (0..long).for_each(|_| pace.began_here(true));
        pace
    }

    #[test]
    fn requests_are_taken_for_long_after_a_row_of_long_ones() {
        assert!(!after(LONG_IN_A_ROW - 1).is_long());
        assert!(after(LONG_IN_A_ROW).is_long());
    }

    #[test]
    fn where_one_request_in_four_is_short_none_is_taken_for_long() {
        let pace = Pace::default();
        for request in 0..100 {
            pace.began_here(request % 4 != 0);
            assert!(!pace.is_long());
        }
    }

    #[test]
    fn one_short_request_among_many_long_ones_changes_nothing_and_a_second_one_does() {
        let pace = after(100);
        pace.began_in_background(TICK / 2);
        assert!(pace.is_long());
        pace.began_in_background(TICK / 2);
        assert!(!pace.is_long());
    }

    #[test]
    fn a_guest_that_holds_up_its_thread_begins_in_the_background_for_a_while_and_one_whose_thread_waited_does_not() {
        let pace = Pace::default();
        let (began, long) = (Instant::now(), Duration::from_millis(80));
        assert!(!pace.suspects());
        pace.polled_here(long, began + long, None);
        assert!(pace.suspects() && !pace.suspects());
        // Its thread had no processor.
        pace.polled_here(long, began + long, Some(TICK));
        assert!(pace.suspects() && !pace.is_long());
        pace.polled_here(long, began + long, Some(long));
        pace.began_in_background(Duration::ZERO);
        assert!(pace.is_long());
        assert!(pace.holds_up(|| began + HELD_AGAINST_IT));
        assert!(!pace.holds_up(|| began + HELD_AGAINST_IT + 2 * long));
        pace.polled_here(TICK, began + long, None);
        assert!(!pace.suspects());
    }

    #[test]
    fn what_computes_for_a_tick_in_the_background_stays_there() {
        let pace = after(LONG_IN_A_ROW);
        (0..100).for_each(|_| pace.began_in_background(TICK));
        assert!(pace.is_long());
    }
}
