use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use api::{Dialer, ObjectKey, session::Endpoint};
use arc_swap::ArcSwap;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    meter::{Meter, Totals},
    permit::Permit,
    pick::pick,
    queue::Queue,
    replica::{Replica, Slot},
};
use crate::retry::RetryBudget;

/// A Service: its replicas, the requests that wait for one, and what was measured.
pub(crate) struct Service {
    key: ObjectKey,
    pool: ArcSwap<Pool>,
    queue: Queue,
    pub(super) meter: Meter,
    pub(crate) retries: RetryBudget,
    /// Whether the control plane was told that a request waits for a replica to start.
    woken: AtomicBool,
}

#[derive(Default)]
struct Pool {
    replicas: Vec<Arc<Replica>>,
    /// Why there are none or too few, as the control plane said.
    reason: Option<String>,
}

/// How long and in how long a line a request waits for a replica.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) limit: usize,
    pub(crate) all_busy: Duration,
    pub(crate) no_endpoints: Duration,
}

/// Why a request got no replica.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AcquireError {
    QueueFull,
    AllBusy { waited: Duration },
    NoEndpoints { waited: Duration, reason: Option<String> },
}

/// The replicas that refused a request.
pub(crate) type Tried = Vec<Arc<Replica>>;

impl Service {
    pub(crate) fn new(key: ObjectKey) -> Self {
        Self {
            key,
            pool: ArcSwap::default(),
            queue: Queue::default(),
            meter: Meter::default(),
            retries: RetryBudget::default(),
            woken: AtomicBool::new(false),
        }
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Replaces the endpoints. Replicas that stay keep their handles and their counts.
    pub(crate) fn replace(self: &Arc<Self>, endpoints: &[Endpoint], reason: Option<String>, dialer: &dyn Dialer) {
        let old = self.pool.load_full();
        let keep_or_dial = |endpoint: &Endpoint| match old.replicas.iter().find(|replica| replica.is(endpoint)) {
            Some(replica) => {
                replica.adjust(endpoint);
                replica.clone()
            }
            None => Arc::new(Replica::dial(endpoint.clone(), dialer)),
        };
        let replicas = endpoints.iter().map(keep_or_dial).collect();
        self.pool.store(Arc::new(Pool { replicas, reason }));
        if !endpoints.is_empty() {
            self.woken.store(false, Relaxed);
        }
        self.slot_freed();
    }

    pub(crate) fn has_endpoints(&self) -> bool {
        !self.pool.load().replicas.is_empty()
    }

    /// Replicas, and the requests that they can take at the same time.
    pub(crate) fn capacity(&self) -> (usize, u64) {
        let pool = self.pool.load();
        (pool.replicas.len(), pool.replicas.iter().map(|replica| u64::from(replica.concurrency())).sum())
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.waiting()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.meter.totals()
    }

    /// A permit at once, if a replica is free and nobody waits for it.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        if self.queue.waiting() > 0 {
            return None;
        }
        self.take().map(|slot| Permit::new(self.clone(), slot))
    }

    /// A permit of a replica that has not refused yet, before those who wait: the request had its turn.
    pub(crate) fn acquire_other(self: &Arc<Self>, tried: &Tried) -> Option<Permit> {
        let untried = |replica: &Replica| !tried.iter().any(|other| std::ptr::eq(Arc::as_ptr(other), replica));
        pick(&self.pool.load().replicas, untried).map(|slot| Permit::new(self.clone(), slot))
    }

    /// Waits in line for a permit. `wake` is called if there is no replica at all and nobody was told yet; it says
    /// whether the message went out.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        waits: Waits,
        wake: impl Fn() -> bool,
    ) -> Result<Permit, AcquireError> {
        let arrived = Instant::now();
        let mut place = self.join(waits.limit)?;
        self.queue.serve(|| self.take());
        if !self.has_endpoints() {
            self.tell(wake);
            if let Ok(permit) = timeout_at(arrived + waits.no_endpoints, place.called()).await {
                return Ok(permit);
            }
            if !self.has_endpoints() {
                // Whoever comes next asks again: the message may have been lost.
                self.woken.store(false, Relaxed);
                let reason = self.pool.load().reason.clone();
                return Err(AcquireError::NoEndpoints { waited: arrived.elapsed(), reason });
            }
        }
        let called = timeout_at(arrived + waits.all_busy, place.called()).await;
        called.map_err(|_| AcquireError::AllBusy { waited: arrived.elapsed() })
    }

    /// A slot may be free: the next in line gets it.
    pub(super) fn slot_freed(&self) {
        if self.queue.waiting() > 0 {
            self.queue.serve(|| self.take());
        }
    }

    fn tell(&self, wake: impl Fn() -> bool) {
        if !self.woken.swap(true, Relaxed) && !wake() {
            self.woken.store(false, Relaxed);
        }
    }

    fn take(&self) -> Option<Slot> {
        let pool = self.pool.load();
        pick(&pool.replicas, |replica| !replica.rests()).or_else(|| pick(&pool.replicas, |_| true))
    }

    fn join(self: &Arc<Self>, limit: usize) -> Result<Place, AcquireError> {
        let (ticket, receiver) = self.queue.join(limit).ok_or(AcquireError::QueueFull)?;
        Ok(Place { service: self.clone(), ticket, receiver: Some(receiver) })
    }
}

/// A place in line. Dropped before its turn, it leaves the line; dropped just after, it passes its slot on.
struct Place {
    service: Arc<Service>,
    ticket: u64,
    /// `None` once called.
    receiver: Option<oneshot::Receiver<Slot>>,
}

impl Place {
    async fn called(&mut self) -> Permit {
        if let Some(receiver) = &mut self.receiver {
            let slot = receiver.await;
            self.receiver = None;
            if let Ok(slot) = slot {
                return Permit::new(self.service.clone(), slot);
            }
        }
        // The line drops a hand only after calling it, and is itself kept by `self.service`.
        std::future::pending().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(receiver) = self.receiver.take()
            && !self.service.queue.leave(self.ticket)
        {
            drop(receiver);
            self.service.slot_freed();
        }
    }
}
