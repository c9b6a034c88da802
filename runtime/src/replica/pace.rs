use std::{
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::Duration,
};

use crate::engine::TICK;

/// Long requests in a row after which the next ones are taken for long as well.
const LONG_IN_A_ROW: u8 = 8;
/// What is remembered of a longer row, so that one short request among many long ones changes nothing.
const REMEMBERED: u8 = 2 * LONG_IN_A_ROW;
/// What a short request takes from that.
const SHORT_TAKES: u8 = 6;

/// Whether requests of a replica compute for longer than they may on the thread that took them.
///
/// Those that do, begin where they would end up: in the background. There each processor has one of them at work, and the next
/// begins when that is done; begun where they arrive, each would have an instance and its memory before it has its turn, and
/// would keep short requests of others waiting for its first ticks. Where some are short, all begin where they arrive.
#[derive(Default)]
pub(super) struct Pace(AtomicU8);

impl Pace {
    /// Whether the next request is taken for long.
    pub(super) fn is_long(&self) -> bool {
        self.0.load(Relaxed) >= LONG_IN_A_ROW
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
        let row = self.0.load(Relaxed);
        if row < REMEMBERED {
            self.0.store(row + 1, Relaxed);
        }
    }

    fn short(&self) {
        // Most requests are short, and write nothing that other threads read.
        let row = self.0.load(Relaxed);
        if row > 0 {
            self.0.store(row.saturating_sub(SHORT_TAKES), Relaxed);
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
    fn what_computes_for_a_tick_in_the_background_stays_there() {
        let pace = after(LONG_IN_A_ROW);
        (0..100).for_each(|_| pace.began_in_background(TICK));
        assert!(pace.is_long());
    }
}
