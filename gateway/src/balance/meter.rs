use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::service::Service;

/// Counters are split over this many cache lines, so that threads do not share one.
const SHARDS: usize = 8;

static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = Cell::new(NEXT_SHARD.fetch_add(1, Relaxed) % SHARDS);
}

/// What happened at a Service since the gateway started.
#[derive(Default)]
pub(super) struct Meter {
    shards: [Shard; SHARDS],
}

#[derive(Default)]
#[repr(align(64))]
struct Shard {
    arrivals: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    latency_micros: AtomicU64,
}

/// The sums of a [`Meter`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) arrivals: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) latency_sum: Duration,
}

impl Meter {
    fn shard(&self) -> &Shard {
        &self.shards[SHARD.get()]
    }

    pub(super) fn totals(&self) -> Totals {
        let sum = |counter: fn(&Shard) -> &AtomicU64| self.shards.iter().map(|s| counter(s).load(Relaxed)).sum();
        // Ends before beginnings: so a request is never seen to end before it arrived.
        Totals {
            completed: sum(|s| &s.completed),
            failed: sum(|s| &s.failed),
            latency_sum: Duration::from_micros(sum(|s| &s.latency_micros)),
            arrivals: sum(|s| &s.arrivals),
        }
    }
}

/// A request at a Service, from its arrival until it is dropped: counted at both.
pub(crate) struct Measured {
    service: Arc<Service>,
    arrived: Instant,
    failed: bool,
}

impl Measured {
    pub(crate) fn arrival(service: Arc<Service>) -> Self {
        service.meter.shard().arrivals.fetch_add(1, Relaxed);
        Self { service, arrived: Instant::now(), failed: false }
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
        let micros = u64::try_from(self.arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
        shard.latency_micros.fetch_add(micros, Relaxed);
    }
}
