use std::sync::atomic::{AtomicU64, Ordering};

/// Lines that a replica may write in one second. Beyond it they are dropped and counted.
pub(super) const MAX_LINES_PER_SECOND: u32 = 2000;

/// Counts the lines of the current second: the second in the upper half, the lines in the lower.
#[derive(Default)]
pub(super) struct LineRate(AtomicU64);

impl LineRate {
    /// Whether a line in this second (since the epoch) is within the bound.
    pub(super) fn admit(&self, second: u64) -> bool {
        let second = second & u64::from(u32::MAX);
        let count = |state: u64| {
            let lines = if state >> 32 == second { state & u64::from(u32::MAX) } else { 0 };
            (second << 32) | (lines + 1).min(u64::from(u32::MAX))
        };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(count(state)));
        let state = count(before.unwrap_or_else(|unchanged| unchanged));
        state & u64::from(u32::MAX) <= u64::from(MAX_LINES_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_bound() {
        let rate = LineRate::default();
        let admitted = (0..MAX_LINES_PER_SECOND + 10).filter(|_| rate.admit(7)).count();
        assert_eq!(admitted as u32, MAX_LINES_PER_SECOND);
        assert!(rate.admit(8));
    }
}
