use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Parts of a retry that each request brings: a fifth, so that retries add at most 20 % to the load.
const A_FIFTH: u64 = 2;
/// Parts that a retry takes.
const A_RETRY: u64 = 10;
/// Retries that may come at once, after a quiet time: as many as requests are usually in flight on a worker that is lost.
const BURST: u64 = 500;

/// Caps the retries of one Service, as a share of its requests. (The idea is Finagle's `RetryBudget`.)
pub(crate) struct RetryBudget {
    parts: AtomicU64,
    retries: AtomicU64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { parts: AtomicU64::new(BURST * A_RETRY), retries: AtomicU64::new(0) }
    }
}

impl RetryBudget {
    /// A request came.
    pub(crate) fn deposit(&self) {
        // Mostly full, and then nothing is written.
        if self.parts.load(Relaxed) < BURST * A_RETRY {
            self.parts.fetch_add(A_FIFTH, Relaxed);
        }
    }

    /// Whether a request may be sent once more. It counts.
    pub(crate) fn withdraw(&self) -> bool {
        let taken = self.parts.try_update(Relaxed, Relaxed, |parts| parts.checked_sub(A_RETRY)).is_ok();
        self.retries.fetch_add(u64::from(taken), Relaxed);
        taken
    }

    /// Retries until now.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_at_most_a_fifth_of_the_requests_beyond_the_burst() {
        let budget = RetryBudget::default();
        let at_once = (0..).take_while(|_| budget.withdraw()).count();
        assert_eq!(at_once as u64, BURST);
        (0..1000).for_each(|_| budget.deposit());
        let after = (0..).take_while(|_| budget.withdraw()).count();
        assert_eq!(after, 200);
        assert_eq!(budget.retries(), BURST + 200);
    }
}
