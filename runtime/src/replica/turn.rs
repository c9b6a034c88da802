use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use api::{RequestId, TRACEPARENT};
use http::{HeaderMap, HeaderValue};
use wasmtime::UpdateDeadline;

use super::{
    cpu::{CpuMeter, thread_cpu},
    failure::{GuestFailure, Stop},
};
use crate::engine::{TICK, Ticker};

/// Ticks that a guest may compute on the thread that took the request. Two, as the first may be over at once.
pub(crate) const FIRST_TICKS: u64 = 2;
/// Ticks beyond those that a guest may compute, after which one that goes on from call to call of the host is looked at by these.
const OVERDUE_TICKS: u64 = 2;
/// Calls of the host that take a moment alone, after which it is looked where such a guest is. That many take less than a millisecond.
const CALLS_BETWEEN_LOOKS: u32 = 4096;
/// CPU time that one has from then on which cannot be made to wait. Without optimisation a single call can take longer.
const OVERDUE_CPU: Duration = Duration::from_millis(if cfg!(debug_assertions) { 40 } else { 4 });
/// Ticks that a guest in the background computes until another may.
const BACKGROUND_TICKS: u64 = 10;

/// The answer is still to be given, or a part of it.
const OPEN: u8 = 0;
/// The whole answer was given, and the guest goes on.
const ANSWERED: u8 = 1;
/// The guest has ended.
const ENDED: u8 = 2;

/// One request's time in a guest: what its driver and the engine's interrupts tell each other.
pub(crate) struct Turn {
    pub(crate) deadline: Instant,
    ticker: Arc<Ticker>,
    cpu: Option<Arc<CpuMeter>>,
    /// The tick at which the guest was polled last.
    polled_at: AtomicU64,
    /// CPU time of the polling thread, in nanoseconds, when this poll was first interrupted; 0: it was not.
    cpu_at_first_interrupt: AtomicU64,
    /// The tick at which it was last seen to that the guest keeps nobody from anything: it was polled, or interrupted.
    looked_at: AtomicU64,
    /// The most ticks of this poll in which it was not.
    unseen: AtomicU64,
    /// CPU time of its thread, in nanoseconds, when a call of the host first found that this was long ago; 0: none did.
    cpu_at_overdue: AtomicU64,
    /// Calls of the host, as far as they are counted.
    calls: AtomicU32,
    /// The guest computed through its first ticks.
    overran: AtomicBool,
    /// It was moved to the background.
    background: AtomicBool,
    /// Nobody waits for the answer any more.
    abandoned: AtomicBool,
    /// How far the request is: [`OPEN`], [`ANSWERED`] or [`ENDED`].
    progress: AtomicU8,
    failure: OnceLock<String>,
    /// The instance had answered an earlier request, and did not answer this one.
    answered_before: AtomicBool,
    /// Why the request could not be read to its end.
    broken_request: OnceLock<String>,
    /// What names the request, and all that it causes.
    traceparent: Option<HeaderValue>,
}

impl Turn {
    pub(crate) fn new(ticker: Arc<Ticker>, cpu: Option<Arc<CpuMeter>>, limit: Duration) -> Self {
        Self {
            deadline: Instant::now() + limit,
            polled_at: AtomicU64::new(ticker.now()),
            cpu_at_first_interrupt: AtomicU64::new(0),
            looked_at: AtomicU64::new(ticker.now()),
            unseen: AtomicU64::new(0),
            cpu_at_overdue: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            ticker,
            cpu,
            overran: AtomicBool::new(false),
            background: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            progress: AtomicU8::new(OPEN),
            failure: OnceLock::new(),
            answered_before: AtomicBool::new(false),
            broken_request: OnceLock::new(),
            traceparent: None,
        }
    }

    /// For a request with these headers.
    pub(super) fn of(self, headers: &HeaderMap) -> Self {
        Self { traceparent: headers.get(TRACEPARENT).cloned(), ..self }
    }

    /// A line of the log about the request, with the name that answers and other logs have for it.
    pub(super) fn line(&self, what: &str) -> String {
        match self.traceparent.as_ref().and_then(RequestId::of_traceparent) {
            Some(request) => format!("{what} (request {request})"),
            None => what.to_owned(),
        }
    }

    /// The guest is about to be polled.
    pub(super) fn polling(&self) {
        let now = self.ticker.now();
        self.polled_at.store(now, Ordering::Relaxed);
        self.cpu_at_first_interrupt.store(0, Ordering::Relaxed);
        self.looked(now);
        self.unseen.store(0, Ordering::Relaxed);
    }

    /// The longest time of the poll that ends in which the guest could not be interrupted, by the engine's clock: that stands still as
    /// well where the machine is too busy for it.
    pub(super) fn longest_unseen(&self) -> Duration {
        let since = self.ticker.now().saturating_sub(self.looked_at.load(Ordering::Relaxed));
        let ticks = since.max(self.unseen.load(Ordering::Relaxed));
        TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    fn looked(&self, tick: u64) {
        self.looked_at.store(tick, Ordering::Relaxed);
        self.cpu_at_overdue.store(0, Ordering::Relaxed);
    }

    /// Whether the engine should have interrupted the guest long ago: it does so in loops and where functions begin, and between
    /// calls of the host that stand one after the other is neither.
    fn is_overdue(&self) -> bool {
        let ticks = self.ticker.now().saturating_sub(self.looked_at.load(Ordering::Relaxed));
        let own = if self.background.load(Ordering::Relaxed) { BACKGROUND_TICKS } else { FIRST_TICKS };
        ticks > own + OVERDUE_TICKS
    }

    /// To be asked by each call of the host that takes more than a moment. An error ends the guest: it made such calls for long,
    /// without a point at which it could be interrupted.
    pub(crate) fn within_reach(&self) -> wasmtime::Result<()> {
        if !self.is_overdue() {
            return Ok(());
        }
        // On a busy machine its thread may have waited for a processor meanwhile.
        let now = u64::try_from(thread_cpu().as_nanos()).unwrap_or(u64::MAX);
        match self.cpu_at_overdue.load(Ordering::Relaxed) {
            0 => self.cpu_at_overdue.store(now, Ordering::Relaxed),
            first if Duration::from_nanos(now.saturating_sub(first)) < OVERDUE_CPU => {}
            _ => return Err(Stop::OutOfReach.into()),
        }
        Ok(())
    }

    /// The same for a call that takes a moment alone, and has no error to end the guest with. What ends it is unwound through its
    /// frames, which wasmtime allows, to where it is polled.
    pub(crate) fn called(&self) {
        // The guest makes one call at a time: no step in between is lost.
        let calls = self.calls.load(Ordering::Relaxed).wrapping_add(1);
        self.calls.store(calls, Ordering::Relaxed);
        if calls.is_multiple_of(CALLS_BETWEEN_LOOKS)
            && let Err(ended) = self.within_reach()
        {
            std::panic::resume_unwind(Box::new(ended));
        }
    }

    /// The same for a call that can wait: others go on meanwhile, as if the guest had been interrupted.
    pub(crate) async fn give_way(&self) -> wasmtime::Result<()> {
        if !self.is_overdue() {
            return Ok(());
        }
        match self.interrupted()? {
            UpdateDeadline::YieldCustom(_, until) => until.await,
            UpdateDeadline::Yield(_) => tokio::task::yield_now().await,
            _ => {}
        }
        Ok(())
    }

    /// Whether the guest computed for too long to stay on the thread that took the request.
    pub(super) fn overran(&self) -> bool {
        self.overran.load(Ordering::Relaxed)
    }

    /// From now on it may compute for longer, where it keeps no others from their work.
    pub(super) fn move_to_background(&self) {
        self.background.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_in_background(&self) -> bool {
        self.background.load(Ordering::Relaxed)
    }

    /// Whoever asked has left. Until its task is cancelled the guest may notice, and fail for that.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// The whole answer was given. False if the guest has ended, or it was known before.
    pub(super) fn answer(&self) -> bool {
        self.progress.compare_exchange(OPEN, ANSWERED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the guest goes on after its answer.
    pub(super) fn is_answered(&self) -> bool {
        self.progress.load(Ordering::Acquire) == ANSWERED
    }

    /// The guest has ended. True if it had given its whole answer before.
    pub(super) fn end(&self) -> bool {
        self.progress.swap(ENDED, Ordering::AcqRel) == ANSWERED
    }

    /// The guest has ended without an answer, though its instance has answered an earlier request.
    pub(super) fn answered_before(&self) {
        self.answered_before.store(true, Ordering::Release);
    }

    pub(super) fn has_answered_before(&self) -> bool {
        self.answered_before.load(Ordering::Acquire)
    }

    /// Why the guest ended, for a body that was being sent. Set before its instance is dropped.
    pub(super) fn fail(&self, why: &dyn std::fmt::Display) {
        let _ = self.failure.set(why.to_string());
    }

    /// The request's body broke off: what the guest makes of it is not the guest's fault.
    pub(super) fn break_request(&self, why: &dyn std::fmt::Display) {
        let _ = self.broken_request.set(why.to_string());
    }

    pub(super) fn broken_request(&self) -> Option<GuestFailure> {
        let why = self.broken_request.get()?;
        Some(GuestFailure::BadRequest { why: format!("the request body could not be read: {why}") })
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    pub(super) fn cpu(&self) -> Option<&Arc<CpuMeter>> {
        self.cpu.as_ref()
    }

    /// What happens to the guest at the end of its ticks.
    pub(super) fn interrupted(&self) -> wasmtime::Result<UpdateDeadline> {
        let tick = self.ticker.now();
        self.unseen.fetch_max(tick.saturating_sub(self.looked_at.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.looked(tick);
        let now = Instant::now();
        if now >= self.deadline {
            return Err(Stop::Deadline.into());
        }
        let computed = self.ticker.now().saturating_sub(self.polled_at.load(Ordering::Relaxed));
        let in_background = self.background.load(Ordering::Relaxed);
        if !in_background && computed < FIRST_TICKS {
            // It waited for something, and has only just gone on.
            return Ok(UpdateDeadline::Continue(FIRST_TICKS - computed));
        }
        if !in_background && !self.used_cpu_since_first_interrupt() {
            return Ok(UpdateDeadline::Continue(FIRST_TICKS));
        }
        if in_background && self.cpu.is_none() && computed < BACKGROUND_TICKS {
            // It began here, or has only just gone on.
            return Ok(UpdateDeadline::Continue(BACKGROUND_TICKS - computed));
        }
        self.overran.store(true, Ordering::Relaxed);
        Ok(match self.throttled(now, computed) {
            Some(until) => UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep_until(until.into()))),
            None if self.cpu.is_some() => UpdateDeadline::Yield(1),
            None => UpdateDeadline::Yield(BACKGROUND_TICKS),
        })
    }

    /// Whether the guest itself used the ticks that passed. On a busy machine its thread may have been waiting for a
    /// processor meanwhile; a short request must not end up behind long ones for that.
    fn used_cpu_since_first_interrupt(&self) -> bool {
        // In nanoseconds, of which a thread uses fewer than fit.
        let now = u64::try_from(thread_cpu().as_nanos()).unwrap_or(u64::MAX);
        let first = self.cpu_at_first_interrupt.load(Ordering::Relaxed);
        if first == 0 {
            self.cpu_at_first_interrupt.store(now, Ordering::Relaxed);
            return false;
        }
        Duration::from_nanos(now.saturating_sub(first)) >= TICK
    }

    /// Until when the guest must wait because its replica's CPU time is used up. What it computes now is charged when
    /// the poll ends, which this yield does.
    fn throttled(&self, now: Instant, computed: u64) -> Option<Instant> {
        let cpu = self.cpu.as_ref()?;
        cpu.exhausted_after(now, TICK * u32::try_from(computed).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ticking;

    /// Long enough for a slow machine; a test that waits for it has failed.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A turn that has just been polled, and its clock.
    fn polled(limit: Duration) -> (Turn, Ticking) {
        let ticker = Ticker::start(Vec::new()).unwrap();
        let ticking = ticker.keep_ticking();
        let turn = Turn::new(ticker, None, limit);
        turn.polling();
        (turn, ticking)
    }

    #[test]
    fn a_guest_that_is_never_interrupted_is_ended_by_its_calls_of_the_host() {
        let (turn, _ticking) = polled(PATIENCE);
        let began = Instant::now();
        let ended = loop {
            if let Err(ended) = turn.within_reach() {
                break ended;
            }
            assert!(began.elapsed() < PATIENCE, "it went on for ever");
        };
        assert!(matches!(ended.downcast_ref(), Some(Stop::OutOfReach)), "{ended}");
        turn.polling();
        assert!(turn.within_reach().is_ok(), "it was polled anew");
    }

    #[test]
    fn a_guest_that_is_never_interrupted_is_ended_by_calls_that_take_a_moment_each() {
        let (turn, _ticking) = polled(PATIENCE);
        let began = Instant::now();
        let ended = std::panic::catch_unwind(|| {
            while began.elapsed() < PATIENCE {
                turn.called();
            }
        });
        let ended = ended.expect_err("it went on for ever").downcast::<wasmtime::Error>().expect("it is no panic");
        assert!(matches!(ended.downcast_ref(), Some(Stop::OutOfReach)), "{ended}");
    }

    #[tokio::test]
    async fn a_call_that_can_wait_gives_way_as_if_the_guest_was_interrupted_and_ends_it_at_its_deadline() {
        let (turn, _ticking) = polled(Duration::from_millis(300));
        let ended = loop {
            if let Err(ended) = turn.give_way().await {
                break ended;
            }
        };
        assert!(turn.overran(), "it is to be moved to the background");
        assert!(matches!(ended.downcast_ref(), Some(Stop::Deadline)), "{ended}");
    }
}
