use std::{
    cell::Cell,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::instance::Instance;

/// Idle instances of a replica beyond which no more are kept.
const MAX_IDLE: usize = 64;
/// How long an instance is kept idle.
const KEEP: Duration = Duration::from_secs(10);

/// Instances that wait for a request, with isolation `replica`. Each thread has a shelf of its own and takes what it
/// put there last, so threads neither wait for each other nor cool each other's caches.
pub(super) struct IdleInstances {
    shelves: Box<[Mutex<Vec<Shelved>>]>,
    per_shelf: usize,
}

struct Shelved {
    since: Instant,
    instance: Box<Instance>,
}

/// One for each processor. Asked once: the answer is read from files, and a replica's first request would wait for it.
static SHELVES: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

impl IdleInstances {
    pub(super) fn new(concurrency: u32) -> Self {
        let shelves = *SHELVES;
        let most = (concurrency as usize).min(MAX_IDLE);
        Self { shelves: (0..shelves).map(|_| Mutex::default()).collect(), per_shelf: most.div_ceil(shelves) }
    }

    pub(super) fn take(&self) -> Option<Box<Instance>> {
        self.own_first().find_map(|shelf| shelf.try_lock()?.pop()).map(|shelved| shelved.instance)
    }

    pub(super) fn put(&self, instance: Box<Instance>) {
        let mut shelved = Some(Shelved { since: Instant::now(), instance });
        for shelf in self.own_first() {
            if let Some(mut shelf) = shelf.try_lock()
                && shelf.len() < self.per_shelf
            {
                shelf.extend(shelved.take());
                return;
            }
        }
    }

    /// Drops those that have been idle for too long.
    pub(super) fn trim(&self, now: Instant) {
        for shelf in &self.shelves {
            let idle = |shelved: &mut Shelved| now.saturating_duration_since(shelved.since) > KEEP;
            // Dropping an instance takes a while: not under the lock.
            let _trimmed: Vec<_> = shelf.lock().extract_if(.., idle).collect();
        }
    }

    /// Since when the one waits that has waited longest.
    fn oldest(&self) -> Option<Instant> {
        // A shelf is a stack: what waits longest is at its bottom.
        self.shelves.iter().filter_map(|shelf| Some(shelf.lock().first()?.since)).min()
    }

    /// Drops the one that waits longest. False: there is none.
    pub(super) fn drop_oldest(&self) -> bool {
        let Some(oldest) = self.oldest() else { return false };
        let dropped = self.shelves.iter().find_map(|shelf| {
            let mut shelf = shelf.lock();
            (shelf.first()?.since == oldest).then(|| shelf.remove(0))
        });
        dropped.is_some()
    }

    /// Drops all, as when a replica stops.
    pub(super) fn clear(&self) {
        for shelf in &self.shelves {
            let _cleared = std::mem::take(&mut *shelf.lock());
        }
    }

    /// The shelves, beginning with this thread's.
    fn own_first(&self) -> impl Iterator<Item = &Mutex<Vec<Shelved>>> {
        let own = thread_number() % self.shelves.len();
        self.shelves[own..].iter().chain(&self.shelves[..own])
    }
}

/// The idle instances of all replicas of a worker. When the engine's pool is full, they give way.
#[derive(Default)]
pub(crate) struct AllIdle(Mutex<Vec<Weak<IdleInstances>>>);

impl AllIdle {
    pub(super) fn add(&self, idle: &Arc<IdleInstances>) {
        let mut all = self.0.lock();
        if all.len() == all.capacity() {
            // Only now, so that one of very many replicas does not look at all others when it starts.
            all.retain(|idle| idle.strong_count() > 0);
            let living = all.len();
            all.reserve(living + 1);
        }
        all.push(Arc::downgrade(idle));
    }

    /// Drops the instance that has been idle for longest, whosever it is. False: there is none.
    pub(super) fn drop_oldest(&self) -> bool {
        let all: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        let oldest = all.iter().filter_map(|idle| Some((idle.oldest()?, idle))).min_by_key(|(since, _)| *since);
        // Taken by a request meanwhile, it is no longer idle, and its room no longer to be had.
        oldest.is_some_and(|(_, idle)| idle.drop_oldest())
    }
}

fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let new = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(new));
            new
        })
    })
}
