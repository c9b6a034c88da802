use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use api::{Dialer, ObjectKey, session::Endpoint};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use parking_lot::Mutex;
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
use crate::{guard::Guards, retry::RetryBudget};

/// A Service: its replicas, the requests that wait for one, and what was measured.
pub(crate) struct Service {
    key: ObjectKey,
    pool: ArcSwap<Pool>,
    /// Who may call it; `None`: everybody.
    guards: ArcSwapOption<Guards>,
    queue: Queue,
    pub(super) meter: Meter,
    pub(crate) retries: RetryBudget,
    told: Mutex<Told>,
    /// Whether it is among those that are sampled next.
    pub(super) awake: AtomicBool,
    awakened: Awakened,
    sampled: Mutex<Sampled>,
}

/// What was counted until the last sample.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sampled {
    pub(crate) totals: Totals,
    pub(crate) in_flight: u32,
    pub(crate) queued: u32,
}

/// Services at which something has happened since they were last sampled: the others need not be looked at.
pub(crate) type Awakened = Arc<Mutex<Vec<Arc<Service>>>>;

/// What the control plane was told of requests that wait.
#[derive(Default)]
struct Told {
    /// So many. Zero: it was not told.
    queued: usize,
    at: Option<Instant>,
}

/// Where replicas are there but busy, the control plane is told of a new queue this often at most.
const TELL_AT_MOST: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Pool {
    replicas: Vec<Arc<Replica>>,
    why_none: WhyNone,
}

/// Why a Service has no replicas, as the control plane said.
#[derive(Debug, Clone, Default)]
pub(crate) struct WhyNone {
    pub(crate) reason: Option<String>,
    /// Waiting for one is in vain for now.
    pub(crate) hopeless: bool,
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
    pub(crate) fn new(key: ObjectKey, awakened: Awakened) -> Self {
        Self {
            key,
            pool: ArcSwap::default(),
            guards: ArcSwapOption::empty(),
            queue: Queue::default(),
            meter: Meter::default(),
            retries: RetryBudget::default(),
            told: Mutex::default(),
            awake: AtomicBool::new(false),
            awakened,
            sampled: Mutex::default(),
        }
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Sets who may call it; `None`: everybody.
    pub(crate) fn guard(&self, guards: Option<Guards>) {
        self.guards.store(guards.map(Arc::new));
    }

    /// Who may call it; `None`: everybody.
    pub(crate) fn guards(&self) -> Guard<Option<Arc<Guards>>> {
        self.guards.load()
    }

    /// Replaces the endpoints. Replicas that stay keep their handles and their counts.
    pub(crate) fn replace(self: &Arc<Self>, endpoints: &[Endpoint], why_none: WhyNone, dialer: &dyn Dialer) {
        let old = self.pool.load_full();
        let keep_or_dial = |endpoint: &Endpoint| match old.replicas.iter().find(|replica| replica.is(endpoint)) {
            Some(replica) => {
                replica.adjust(endpoint);
                replica.clone()
            }
            None => Arc::new(Replica::dial(endpoint.clone(), dialer)),
        };
        let replicas = endpoints.iter().map(keep_or_dial).collect();
        let hopeless = endpoints.is_empty() && why_none.hopeless;
        self.pool.store(Arc::new(Pool { replicas, why_none }));
        self.slot_freed();
        if hopeless {
            self.queue.dismiss();
        }
    }

    /// Something happens here. Costs a load, unless it is the first since it was sampled.
    pub(super) fn wake_up(self: &Arc<Self>) {
        if !self.awake.load(Relaxed) && !self.awake.swap(true, SeqCst) {
            self.awakened.lock().push(self.clone());
        }
    }

    /// From now on, who comes here puts it among those that are sampled next.
    pub(crate) fn fall_asleep(&self) {
        self.awake.store(false, SeqCst);
    }

    /// It is sampled in the next window as well, unless it is among those already.
    pub(crate) fn stay_awake(self: &Arc<Self>, active: &mut Vec<Arc<Self>>) {
        if !self.awake.swap(true, SeqCst) {
            active.push(self.clone());
        }
    }

    /// Notes a sample; answers the one before.
    pub(crate) fn sampled(&self, now: Sampled) -> Sampled {
        std::mem::replace(&mut *self.sampled.lock(), now)
    }

    /// Whether there is a replica that a request can hope for.
    fn has_usable(&self) -> bool {
        self.pool.load().replicas.iter().any(|replica| replica.is_usable())
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

    /// A permit of a replica that has refused nothing of late, before those who wait: the request had its turn.
    pub(crate) fn acquire_rested(self: &Arc<Self>) -> Option<Permit> {
        pick(&self.pool.load().replicas, |replica| !replica.rests()).map(|slot| Permit::new(self.clone(), slot))
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
        if let Some(permit) = place.called_already() {
            return Ok(permit);
        }
        if self.is_hopeless() {
            return Err(self.no_endpoints(arrived));
        }
        if let Some(again) = self.tell(&wake) {
            match timeout_at(again, place.called()).await {
                Ok(Some(permit)) => return Ok(permit),
                Ok(None) => return Err(self.no_endpoints(arrived)),
                Err(_) => self.tell_if_waiting(&wake),
            }
        }
        if !self.has_usable() {
            match timeout_at(arrived + waits.no_endpoints, place.called()).await {
                Ok(Some(permit)) => return Ok(permit),
                Ok(None) => return Err(self.no_endpoints(arrived)),
                Err(_) if !self.has_usable() => {
                    // Whoever comes next asks again: the message may have been lost.
                    *self.told.lock() = Told::default();
                    return Err(self.no_endpoints(arrived));
                }
                Err(_) => {}
            }
        }
        match timeout_at(arrived + waits.all_busy, place.called()).await {
            Ok(Some(permit)) => Ok(permit),
            Ok(None) => Err(self.no_endpoints(arrived)),
            Err(_) => Err(AcquireError::AllBusy { waited: arrived.elapsed() }),
        }
    }

    fn is_hopeless(&self) -> bool {
        let pool = self.pool.load();
        pool.replicas.is_empty() && pool.why_none.hopeless
    }

    fn no_endpoints(&self, arrived: Instant) -> AcquireError {
        let reason = self.pool.load().why_none.reason.clone();
        AcquireError::NoEndpoints { waited: arrived.elapsed(), reason }
    }

    /// A slot may be free: the next in line gets it.
    pub(super) fn slot_freed(&self) {
        if self.queue.waiting() > 0 {
            self.queue.serve(|| self.take());
        }
    }

    /// Replicas came or went: if requests wait all the same, the control plane is told anew.
    pub(crate) fn tell_if_waiting(&self, wake: impl Fn() -> bool) {
        self.told.lock().queued = 0;
        if self.queue.waiting() > 0 {
            self.tell(&wake);
        }
    }

    /// Tells the control plane that requests wait: when the first does, and each time that twice as many do. Answers when it is
    /// to be told, if it was told of another queue just now.
    fn tell(&self, wake: &impl Fn() -> bool) -> Option<Instant> {
        let queued = self.queue.waiting();
        let mut told = self.told.lock();
        if queued <= 1 {
            // Whoever waited before has been served.
            told.queued = 0;
        }
        let now = Instant::now();
        let again = told.at.map(|at| at + TELL_AT_MOST).filter(|again| *again > now);
        if told.queued == 0 && self.has_usable() && again.is_some() {
            return again;
        }
        if (told.queued == 0 || queued >= 2 * told.queued) && wake() {
            *told = Told { queued: queued.max(1), at: Some(now) };
        }
        None
    }

    fn take(&self) -> Option<Slot> {
        let pool = self.pool.load();
        pick(&pool.replicas, |replica| !replica.rests()).or_else(|| pick(&pool.replicas, Replica::is_usable))
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
    /// Its turn; or `None` if it was sent away.
    async fn called(&mut self) -> Option<Permit> {
        let slot = self.receiver.as_mut()?.await;
        self.receiver = None;
        slot.ok().map(|slot| Permit::new(self.service.clone(), slot))
    }

    /// The same, if it is known already.
    fn called_already(&mut self) -> Option<Permit> {
        let slot = self.receiver.as_mut()?.try_recv().ok()?;
        self.receiver = None;
        Some(Permit::new(self.service.clone(), slot))
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
