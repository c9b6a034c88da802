use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use api::{Dialer, Serve, session::Endpoint};

/// How long a replica that refused a request is picked only if no other can be.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(250);

/// Moments are kept as milliseconds since this one, to fit an atomic.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// An endpoint, how to reach it, and how busy it is.
pub(crate) struct Replica {
    endpoint: Endpoint,
    serve: Arc<dyn Serve>,
    concurrency: AtomicU32,
    request_deadline_ms: AtomicU64,
    in_flight: AtomicU32,
    /// It runs nothing yet, and is started by its first request, if there is room.
    standby: AtomicBool,
    /// Zero, or until when it rests.
    rests_until_ms: AtomicU64,
    /// While it rests, this gateway sends it so many at the same time: others send to it too.
    share: AtomicU32,
}

impl Replica {
    pub(super) fn dial(endpoint: Endpoint, dialer: &dyn Dialer) -> Self {
        Self {
            serve: dialer.dial(&endpoint),
            concurrency: AtomicU32::new(endpoint.concurrency),
            request_deadline_ms: AtomicU64::new(millis(endpoint.request_deadline)),
            in_flight: AtomicU32::new(0),
            standby: AtomicBool::new(endpoint.standby),
            rests_until_ms: AtomicU64::new(0),
            share: AtomicU32::new(u32::MAX),
            endpoint,
        }
    }

    /// Whether this is the endpoint's replica, so that its handle and its count stay good.
    pub(super) fn is(&self, endpoint: &Endpoint) -> bool {
        let (own, other) = (&self.endpoint, endpoint);
        own.replica == other.replica && own.worker == other.worker && own.address == other.address
    }

    /// Takes over what may change while a replica lives.
    pub(super) fn adjust(&self, endpoint: &Endpoint) {
        self.concurrency.store(endpoint.concurrency, SeqCst);
        self.standby.store(endpoint.standby, Relaxed);
        self.request_deadline_ms.store(millis(endpoint.request_deadline), Relaxed);
    }

    /// What its Pod is called.
    pub(crate) fn name(&self) -> &str {
        &self.endpoint.replica.0.name
    }

    pub(crate) fn serve(&self) -> &dyn Serve {
        &*self.serve
    }

    pub(crate) fn request_deadline(&self) -> Duration {
        Duration::from_millis(self.request_deadline_ms.load(Relaxed))
    }

    pub(super) fn concurrency(&self) -> u32 {
        self.concurrency.load(Relaxed)
    }

    /// Requests that it could take now.
    pub(super) fn free(&self) -> u32 {
        self.concurrency.load(Relaxed).min(self.share()).saturating_sub(self.in_flight.load(Relaxed))
    }

    /// Notes that it refused a request.
    pub(crate) fn rest(&self) {
        self.share.store(u32::MAX, Relaxed);
        self.rest_a_while();
    }

    /// Notes that it had no room for a request, whose slot is still held: what else is there from here is this gateway's share for
    /// now. The others wait in line here, where they are counted. So the shares of all gateways come to what the replica takes, as
    /// each takes more when it finds room.
    pub(crate) fn is_full(&self) {
        self.share.store(self.in_flight.load(Relaxed).saturating_sub(1).max(1), Relaxed);
        self.rest_a_while();
    }

    fn rest_a_while(&self) {
        self.rests_until_ms.store(millis(START.elapsed() + REST_AFTER_REFUSAL), Relaxed);
    }

    /// Whether it is picked only if no other can be.
    pub(super) fn rests(&self) -> bool {
        if !self.serve.is_reachable() {
            return true;
        }
        match self.rests_until_ms.load(Relaxed) {
            0 => false,
            until => millis(START.elapsed()) < until,
        }
    }

    /// How many requests it is sent at the same time at most, for now.
    fn share(&self) -> u32 {
        match self.share.load(Relaxed) {
            u32::MAX => u32::MAX,
            share if millis(START.elapsed()) < self.rests_until_ms.load(Relaxed) => share,
            _ => {
                self.share.store(u32::MAX, Relaxed);
                u32::MAX
            }
        }
    }

    /// Whether it can be picked at all: a standby that refused has no room to start, and waiting for it is in vain. One that was full
    /// has started.
    pub(super) fn is_usable(&self) -> bool {
        !self.standby.load(Relaxed) || !self.rests() || self.share.load(Relaxed) != u32::MAX
    }

    /// Takes a slot, if one is free. The count never passes the concurrency.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Slot> {
        // SeqCst here and in `Slot::drop`: see `Queue`, which relies on one order of slots and waiters.
        let concurrency = self.concurrency.load(SeqCst).min(self.share());
        let taken = self.in_flight.try_update(SeqCst, SeqCst, |n| (n < concurrency).then_some(n + 1));
        taken.is_ok().then(|| Slot { replica: self.clone() })
    }
}

/// One unit of a replica's concurrency. Free again when dropped.
pub(super) struct Slot {
    pub(super) replica: Arc<Replica>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.replica.in_flight.fetch_sub(1, SeqCst);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
