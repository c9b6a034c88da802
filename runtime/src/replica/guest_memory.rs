//! A worker's memory for guests, of which replicas draw what they need, as [`MemoryShares`] decides.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

use super::{idle::AllIdle, memory_shares::MemoryShares};

/// A replica draws so much more than it needs, if there is plenty: it asks that seldom. What it does not use goes to others when
/// memory gets short.
const AHEAD_BYTES: u64 = 16 << 20;

/// The memory of a worker for the guests of all replicas.
pub(super) struct GuestMemory {
    drawn: Mutex<Drawn>,
    waiting: AtomicU32,
    given_back: Notify,
    /// Instances that only wait for a request: they give way.
    idle: Arc<AllIdle>,
}

struct Drawn {
    shares: MemoryShares,
    parts: HashMap<u64, Weak<MemoryPart>>,
    joined: u64,
}

/// What one replica has of it. While it uses no more than it has drawn, nobody else is asked.
pub(super) struct MemoryPart {
    all: Arc<GuestMemory>,
    namespace: String,
    id: u64,
    limit_bytes: u64,
    drawn_bytes: AtomicU64,
    used_bytes: AtomicU64,
}

/// Why there is no more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// The replica has as much as it may.
    Limit,
    /// The worker has no more, or none that this replica may have.
    Worker,
}

impl GuestMemory {
    pub(super) fn new(total_bytes: u64, idle: Arc<AllIdle>) -> Arc<Self> {
        let drawn = Drawn { shares: MemoryShares::new(total_bytes), parts: HashMap::new(), joined: 0 };
        Arc::new(Self { drawn: Mutex::new(drawn), waiting: AtomicU32::new(0), given_back: Notify::new(), idle })
    }

    /// A replica that may want up to `limit_bytes`, and whose pod asks for `reserved_bytes`.
    pub(super) fn join(self: &Arc<Self>, namespace: &str, reserved_bytes: u64, limit_bytes: u64) -> Arc<MemoryPart> {
        let mut drawn = self.drawn.lock();
        drawn.joined += 1;
        let id = drawn.joined;
        drawn.shares.join(namespace, id, reserved_bytes, limit_bytes);
        let part = Arc::new(MemoryPart {
            all: self.clone(),
            namespace: namespace.to_owned(),
            id,
            limit_bytes,
            drawn_bytes: AtomicU64::new(0),
            used_bytes: AtomicU64::new(0),
        });
        drawn.parts.insert(id, Arc::downgrade(&part));
        part
    }
}

impl Drawn {
    /// Takes back what is drawn and not used.
    fn sweep(&mut self) {
        for part in self.parts.values().filter_map(Weak::upgrade) {
            let (before, used) = (part.drawn_bytes.load(SeqCst), part.used_bytes.load(SeqCst));
            if used >= before {
                continue;
            }
            part.drawn_bytes.store(used, SeqCst);
            // What is taken at the same time either is seen here, or its taker sees that there is less now, and asks.
            let kept = part.used_bytes.load(SeqCst).clamp(used, before);
            part.drawn_bytes.store(kept, SeqCst);
            self.shares.give_back(&part.namespace, part.id, before - kept);
        }
    }
}

impl MemoryPart {
    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    #[cfg(test)]
    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(SeqCst)
    }

    pub(super) fn take(&self, bytes: u64) -> Result<(), Lack> {
        loop {
            // SeqCst, as for those who wait: one that gives back sees who waits, or who waits sees what was given back.
            let most = self.drawn_bytes.load(SeqCst);
            let within = |used: u64| used.checked_add(bytes).filter(|all| *all <= most);
            match self.used_bytes.try_update(SeqCst, SeqCst, within) {
                Ok(before) if before + bytes <= self.drawn_bytes.load(SeqCst) => return Ok(()),
                // It was taken back at the same time.
                Ok(_) => self.give_back(bytes),
                Err(used) if used.saturating_add(bytes) > self.limit_bytes => return Err(Lack::Limit),
                Err(_) => {}
            }
            self.draw(bytes)?;
        }
    }

    /// Counts what is held in any case.
    pub(super) fn take_anyway(&self, bytes: u64) {
        self.used_bytes.fetch_add(bytes, SeqCst);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, SeqCst);
        if self.all.waiting.load(SeqCst) > 0 {
            self.all.given_back.notify_waiters();
        }
    }

    /// Draws enough for so many bytes more than are used.
    fn draw(&self, bytes: u64) -> Result<(), Lack> {
        let mut drawn = self.all.drawn.lock();
        let need = self.used_bytes.load(SeqCst).saturating_add(bytes);
        if need > self.limit_bytes {
            return Err(Lack::Limit);
        }
        let ahead = need.saturating_add(AHEAD_BYTES).min(self.limit_bytes);
        let draw_up_to = |drawn: &mut Drawn, to: u64| {
            let more = to.saturating_sub(self.drawn_bytes.load(SeqCst));
            let given = drawn.shares.draw(&self.namespace, self.id, more);
            if given {
                self.drawn_bytes.fetch_add(more, SeqCst);
            }
            given
        };
        if draw_up_to(&mut drawn, ahead) || draw_up_to(&mut drawn, need) {
            return Ok(());
        }
        drawn.sweep();
        if draw_up_to(&mut drawn, need) { Ok(()) } else { Err(Lack::Worker) }
    }

    /// Drops the instance of any replica that has been idle for longest. False: there is none.
    pub(super) fn drop_oldest_idle(&self) -> bool {
        self.all.idle.drop_oldest()
    }

    /// Memory is kept from those that have more than their share, until this is dropped.
    pub(super) fn waits(&self) -> WaitsForMemory<'_> {
        self.all.waiting.fetch_add(1, SeqCst);
        self.all.drawn.lock().shares.waits(&self.namespace, true);
        WaitsForMemory(self)
    }

    /// Some replica of the worker gives memory back. Told only while somebody [`waits`](Self::waits).
    pub(super) fn given_back_by_any(&self) -> Notified<'_> {
        self.all.given_back.notified()
    }
}

impl Drop for MemoryPart {
    fn drop(&mut self) {
        let mut drawn = self.all.drawn.lock();
        drawn.parts.remove(&self.id);
        drawn.shares.leave(&self.namespace, self.id);
        drop(drawn);
        self.all.given_back.notify_waiters();
    }
}

/// A guest that waits for memory of its worker.
pub(super) struct WaitsForMemory<'a>(&'a MemoryPart);

impl Drop for WaitsForMemory<'_> {
    fn drop(&mut self) {
        self.0.all.waiting.fetch_sub(1, SeqCst);
        self.0.all.drawn.lock().shares.waits(&self.0.namespace, false);
        // Those that gave way to it may go on.
        self.0.all.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_a_replica_drew_ahead_goes_to_another_when_memory_is_short() {
        let all = GuestMemory::new(AHEAD_BYTES, Arc::default());
        let (one, two) = (all.join("shop", 0, AHEAD_BYTES), all.join("shop", 0, AHEAD_BYTES));
        one.take(1000).unwrap();
        two.take(AHEAD_BYTES - 1000 - AHEAD_BYTES / 8).unwrap();
        assert_eq!(two.take(AHEAD_BYTES / 8 + 1), Err(Lack::Worker));
        assert_eq!(two.take(AHEAD_BYTES), Err(Lack::Limit));
        one.give_back(1000);
        drop(one);
        two.take(AHEAD_BYTES / 8).unwrap();
    }

    #[test]
    fn threads_that_take_and_give_back_at_the_same_time_never_have_more_than_there_is() {
        const TOTAL: u64 = 1 << 20;
        let all = GuestMemory::new(TOTAL, Arc::default());
        let parts: Vec<_> = (0..6).map(|number| all.join(&format!("n{}", number % 3), 0, TOTAL)).collect();
        let had = AtomicU64::new(0);
        thread::scope(|scope| {
            for part in &parts {
                scope.spawn(|| {
                    for round in 0..3000_u64 {
                        let bytes = 1 + (round * 7919) % (TOTAL / 3);
                        if part.take(bytes).is_ok() {
                            assert!(had.fetch_add(bytes, SeqCst) + bytes <= TOTAL);
                            had.fetch_sub(bytes, SeqCst);
                            part.give_back(bytes);
                        }
                    }
                });
            }
        });
        assert!(parts.iter().all(|part| part.used_bytes() == 0));
        parts[0].take(TOTAL - TOTAL / 4).unwrap();
    }
}
