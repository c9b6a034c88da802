use std::{
    cell::Cell,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use super::service::Service;

/// Counters are split over so many cache lines, so that threads do not share one: more of them than there are processors, up to
/// eight, would only take memory.
static SHARDS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(8, |n| n.get().min(8)));

static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = Cell::new(NEXT_SHARD.fetch_add(1, Relaxed) % *SHARDS);
}

/// What happened at a Service since the gateway started.
pub(super) struct Meter {
    shards: Box<[Shard]>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { shards: (0..*SHARDS).map(|_| Shard::default()).collect() }
    }
}

#[derive(Default)]
#[repr(align(64))]
struct Shard {
    arrivals: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    latency_micros: AtomicU64,
    served: AtomicU64,
    service_micros: AtomicU64,
    /// Moments of arrival of requests that have not ended, summed, in microseconds since [`START`]. A request may end on
    /// another thread than it began on, so that one shard alone may be below zero: it wraps, and the sum is right.
    arrived_micros: AtomicU64,
}

/// Moments are counted from this one.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn micros_since_start(moment: Instant) -> u64 {
    micros(moment.saturating_duration_since(*START))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The sums of a [`Meter`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) arrivals: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) latency_sum: Duration,
    pub(crate) served: u64,
    pub(crate) service_sum: Duration,
    /// Time that requests have spent here until now, those included that have not ended.
    pub(crate) presence: Duration,
}

impl Meter {
    fn shard(&self) -> &Shard {
        &self.shards[SHARD.get()]
    }

    pub(super) fn totals(&self) -> Totals {
        let sum = |counter: fn(&Shard) -> &AtomicU64| {
            self.shards.iter().fold(0_u64, |sum, shard| sum.wrapping_add(counter(shard).load(Relaxed)))
        };
        // Ends before beginnings: so a request is never seen to end before it arrived.
        let completed = sum(|s| &s.completed);
        let latency_sum = sum(|s| &s.latency_micros);
        let arrived = sum(|s| &s.arrived_micros);
        let arrivals = sum(|s| &s.arrivals);
        let present = arrivals.saturating_sub(completed);
        let until_now = present.saturating_mul(micros_since_start(Instant::now())).saturating_sub(arrived);
        Totals {
            arrivals,
            completed,
            failed: sum(|s| &s.failed),
            latency_sum: Duration::from_micros(latency_sum),
            served: sum(|s| &s.served),
            service_sum: Duration::from_micros(sum(|s| &s.service_micros)),
            presence: Duration::from_micros(latency_sum.saturating_add(if present == 0 { 0 } else { until_now })),
        }
    }
}

/// A request at a Service, from its arrival until it is dropped: counted at both.
pub(crate) struct Measured {
    service: Arc<Service>,
    arrived: Instant,
    /// When a replica took it.
    taken: Option<Instant>,
    failed: bool,
}

impl Measured {
    pub(crate) fn arrival(service: Arc<Service>) -> Self {
        let arrived = Instant::now();
        let shard = service.meter.shard();
        shard.arrived_micros.fetch_add(micros_since_start(arrived), Relaxed);
        shard.arrivals.fetch_add(1, Relaxed);
        service.wake_up();
        Self { service, arrived, taken: None, failed: false }
    }

    /// A replica took it as it arrived.
    pub(crate) fn taken_at_once(&mut self) {
        self.taken = Some(self.arrived);
    }

    /// A replica takes it now: until now, it waited.
    pub(crate) fn taken_now(&mut self) {
        self.taken = Some(Instant::now());
    }

    /// It ends, or ended, with a status of 500 or above, or its answer broke off.
    pub(crate) fn failed(&mut self) {
        self.failed = true;
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let shard = self.service.meter.shard();
        shard.completed.fetch_add(1, Relaxed);
        if self.failed {
            shard.failed.fetch_add(1, Relaxed);
        }
        let now = Instant::now();
        shard.latency_micros.fetch_add(micros(now - self.arrived), Relaxed);
        shard.arrived_micros.fetch_sub(micros_since_start(self.arrived), Relaxed);
        if let Some(taken) = self.taken {
            shard.served.fetch_add(1, Relaxed);
            shard.service_micros.fetch_add(micros(now - taken), Relaxed);
        }
    }
}
