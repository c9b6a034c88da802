use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// CPU time is granted by the window, as cgroups do it.
const WINDOW: Duration = Duration::from_millis(100);
const USED_BITS: u32 = 32;

/// The CPU time of a replica, as the wall time of the polls of its guests. Its own cache line: threads that serve write it.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct UsedCpu(AtomicU64);

impl UsedCpu {
    pub(crate) fn add(&self, spent: Duration) {
        self.0.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The CPU limit of a replica: so much time in each window of 100 ms. What was used beyond, because a stretch was not
/// interrupted in time, is paid for in the windows that follow.
pub(crate) struct CpuMeter {
    start: Instant,
    budget_micros: u64,
    /// The window in the upper half, microseconds used in it in the lower.
    state: AtomicU64,
}

impl CpuMeter {
    /// A limit in thousandths of a core. At least one, or nothing would ever run.
    pub(crate) fn new(millis: u64) -> Self {
        let budget_micros = millis.max(1).saturating_mul(WINDOW.as_micros() as u64) / 1000;
        Self { start: Instant::now(), budget_micros, state: AtomicU64::new(0) }
    }

    /// Counts time that was computed.
    pub(crate) fn charge(&self, now: Instant, spent: Duration) {
        let window = self.window(now);
        let spent = spent.as_micros() as u64;
        let add = |state| Some(pack(window, self.used_in(window, state).saturating_add(spent)));
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// When the next window begins, if the budget of this one is used up.
    pub(crate) fn exhausted(&self, now: Instant) -> Option<Instant> {
        self.exhausted_after(now, Duration::ZERO)
    }

    /// The same, with time that will be charged soon.
    pub(crate) fn exhausted_after(&self, now: Instant, spent: Duration) -> Option<Instant> {
        let window = self.window(now);
        let used = self.used_in(window, self.state.load(Ordering::Relaxed)) + spent.as_micros() as u64;
        (used >= self.budget_micros).then(|| self.start + WINDOW * (window as u32).saturating_add(1))
    }

    fn window(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.start).as_millis() / WINDOW.as_millis()) as u64
    }

    /// What counts as used in `window`: each window that passed since has paid one budget.
    fn used_in(&self, window: u64, state: u64) -> u64 {
        let (then, used) = (state >> USED_BITS, state & u64::from(u32::MAX));
        used.saturating_sub(window.saturating_sub(then).saturating_mul(self.budget_micros))
    }
}

fn pack(window: u64, used_micros: u64) -> u64 {
    (window << USED_BITS) | used_micros.min(u64::from(u32::MAX))
}

/// CPU time that the calling thread has used.
pub(super) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(meter: &CpuMeter, millis: u64) -> Instant {
        meter.start + Duration::from_millis(millis)
    }

    #[test]
    fn a_quarter_of_a_core_is_25_ms_in_each_window() {
        let meter = CpuMeter::new(250);
        meter.charge(at(&meter, 1), Duration::from_millis(24));
        assert_eq!(meter.exhausted(at(&meter, 30)), None);
        meter.charge(at(&meter, 31), Duration::from_millis(1));
        assert_eq!(meter.exhausted(at(&meter, 32)), Some(at(&meter, 100)));
        assert_eq!(meter.exhausted(at(&meter, 100)), None);
    }

    #[test]
    fn what_was_used_beyond_the_budget_is_paid_later() {
        let meter = CpuMeter::new(100);
        meter.charge(at(&meter, 0), Duration::from_millis(35));
        assert!(meter.exhausted(at(&meter, 150)).is_some());
        assert!(meter.exhausted(at(&meter, 250)).is_some());
        assert_eq!(meter.exhausted(at(&meter, 350)), None);
    }

    #[test]
    fn idle_windows_are_not_saved_up() {
        let meter = CpuMeter::new(100);
        meter.charge(at(&meter, 5000), Duration::from_millis(10));
        assert!(meter.exhausted(at(&meter, 5001)).is_some());
    }
}
