use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::shares::{Count, Decision, Shares, Ticket};

/// How long a request waits for a slot of its share.
const PATIENCE: Duration = Duration::from_secs(5);

/// Room for instances in the engine's pool, shared among replicas as [`Shares`] decides.
///
/// While there is plenty, a slot is taken by counting alone. The lock is for the last part of the pool, which not everybody may
/// have, and for those that wait for a slot.
pub(crate) struct Pool {
    total: u32,
    taken: AtomicU32,
    /// Up to so many may be taken without asking.
    free_to_all: AtomicU32,
    /// Those that wait, and those about which is being decided. Nobody takes a slot without asking while there are any.
    waiting: AtomicU32,
    asking: Mutex<Asking>,
}

struct Asking {
    shares: Shares<Arc<AtomicU32>>,
    waiters: HashMap<Ticket, (Arc<Holder>, oneshot::Sender<PoolSlot>)>,
    joined: u64,
}

/// A replica, as one that has slots of the pool. Counted by it as long as it is there.
pub(crate) struct Holder {
    pool: Arc<Pool>,
    namespace: String,
    id: u64,
    used: Arc<AtomicU32>,
    used_by_namespace: Arc<AtomicU32>,
}

/// A slot that is taken; dropped, it goes to whoever waits.
pub(crate) struct PoolSlot(Arc<Holder>);

/// What becomes of who wants a slot.
pub(crate) enum Asked {
    Taken(PoolSlot),
    /// It has less than its share, and is given the next one that it may have.
    Waits(Waiting),
    /// There is none, and it has its share.
    Full,
}

/// A place in the line of a replica, until it is dropped.
pub(crate) struct Waiting {
    holder: Arc<Holder>,
    ticket: Ticket,
    given: oneshot::Receiver<PoolSlot>,
}

impl Count for Arc<AtomicU32> {
    fn get(&self) -> u32 {
        self.load(SeqCst)
    }
}

impl Pool {
    pub(crate) fn new(total: u32) -> Arc<Self> {
        let shares = Shares::new(total);
        Arc::new(Self {
            total,
            taken: AtomicU32::new(0),
            free_to_all: AtomicU32::new(shares.free_to_all()),
            waiting: AtomicU32::new(0),
            asking: Mutex::new(Asking { shares, waiters: HashMap::new(), joined: 0 }),
        })
    }

    /// A replica that may want slots.
    pub(crate) fn join(self: &Arc<Self>, namespace: &str) -> Arc<Holder> {
        let used = Arc::<AtomicU32>::default();
        let mut asking = self.asking.lock();
        asking.joined += 1;
        let id = asking.joined;
        let used_by_namespace = asking.shares.join(namespace, id, used.clone(), Arc::default);
        self.free_to_all.store(asking.shares.free_to_all(), SeqCst);
        Arc::new(Holder { pool: self.clone(), namespace: namespace.to_owned(), id, used, used_by_namespace })
    }

    /// Whether somebody waits, so that nothing is to be held that is not used.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// Counts one more, if there are fewer than this. Answers how many there were.
    fn count_below(&self, limit: u32) -> Option<u32> {
        self.taken.try_update(SeqCst, SeqCst, |taken| (taken < limit).then_some(taken + 1)).ok()
    }

    /// Gives what is free to those that wait.
    fn give(&self) {
        let mut given = Vec::new();
        {
            let mut asking = self.asking.lock();
            while !asking.waiters.is_empty() {
                // Counted first, since those that have not seen yet that somebody waits may take one at the same time.
                let Some(taken) = self.count_below(self.total) else { break };
                let next = asking.shares.next(self.total - taken);
                let Some((holder, to)) = next.and_then(|ticket| asking.waiters.remove(&ticket)) else {
                    self.taken.fetch_sub(1, SeqCst);
                    break;
                };
                self.waiting.fetch_sub(1, SeqCst);
                given.push((to, PoolSlot::counted(&holder)));
            }
        }
        // Who has just left drops its slot, which then goes to the next one: not under the lock.
        for (to, slot) in given {
            let _ = to.send(slot);
        }
    }
}

impl Holder {
    /// Takes a slot, or a place in the line for one.
    pub(crate) fn take(self: &Arc<Self>) -> Asked {
        let pool = &self.pool;
        let quick = !pool.is_waited_for() && pool.count_below(pool.free_to_all.load(SeqCst)).is_some();
        if quick { Asked::Taken(PoolSlot::counted(self)) } else { self.ask() }
    }

    fn ask(self: &Arc<Self>) -> Asked {
        let pool = &self.pool;
        let mut asking = pool.asking.lock();
        // Before it is looked what is free: who gives a slot back looks afterwards whether somebody waits.
        pool.waiting.fetch_add(1, SeqCst);
        let asked = loop {
            let free = pool.total.saturating_sub(pool.taken.load(SeqCst));
            match asking.shares.ask(&self.namespace, self.id, free) {
                Decision::Grant => {
                    // Somebody may have been faster who did not have to ask.
                    if pool.count_below(pool.total).is_some() {
                        break Asked::Taken(PoolSlot::counted(self));
                    }
                }
                Decision::Queue(ticket) => {
                    let (to, given) = oneshot::channel();
                    asking.waiters.insert(ticket, (self.clone(), to));
                    return Asked::Waits(Waiting { holder: self.clone(), ticket, given });
                }
                Decision::Refuse => break Asked::Full,
            }
        };
        pool.waiting.fetch_sub(1, SeqCst);
        asked
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut asking = self.pool.asking.lock();
        asking.shares.leave(&self.namespace, self.id);
        self.pool.free_to_all.store(asking.shares.free_to_all(), SeqCst);
    }
}

impl PoolSlot {
    /// One that the pool has counted already.
    fn counted(holder: &Arc<Holder>) -> Self {
        holder.used.fetch_add(1, SeqCst);
        holder.used_by_namespace.fetch_add(1, SeqCst);
        Self(holder.clone())
    }
}

impl Drop for PoolSlot {
    fn drop(&mut self) {
        let Holder { pool, used, used_by_namespace, .. } = &*self.0;
        used.fetch_sub(1, SeqCst);
        used_by_namespace.fetch_sub(1, SeqCst);
        pool.taken.fetch_sub(1, SeqCst);
        if pool.is_waited_for() {
            pool.give();
        }
    }
}

impl Waiting {
    /// The slot, if it comes in time.
    pub(crate) async fn slot(mut self) -> Option<PoolSlot> {
        tokio::time::timeout(PATIENCE, &mut self.given).await.ok()?.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let pool = &self.holder.pool;
        let left = {
            let mut asking = pool.asking.lock();
            let left = asking.waiters.remove(&self.ticket);
            if left.is_some() {
                asking.shares.forget(&self.holder.namespace, self.holder.id, self.ticket);
                pool.waiting.fetch_sub(1, SeqCst);
            }
            left
        };
        // What it holds is let go of without the lock, which the end of a holder takes.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures::FutureExt;

    use super::*;

    fn at_once(holder: &Arc<Holder>) -> Option<PoolSlot> {
        match holder.take() {
            Asked::Taken(slot) => Some(slot),
            Asked::Waits(_) | Asked::Full => None,
        }
    }

    fn all(holder: &Arc<Holder>) -> Vec<PoolSlot> {
        std::iter::from_fn(|| at_once(holder)).collect()
    }

    #[test]
    fn one_alone_has_all_and_what_it_gives_back_is_free_again() {
        let pool = Pool::new(4);
        let holder = pool.join("shop");
        let taken = all(&holder);
        assert_eq!(taken.len(), 4);
        assert!(matches!(holder.take(), Asked::Full));
        drop(taken);
        assert_eq!(all(&holder).len(), 4);
    }

    #[tokio::test]
    async fn another_namespace_has_its_part_at_once_and_its_share_as_instances_end() {
        let pool = Pool::new(16);
        let (greedy, other) = (pool.join("greedy"), pool.join("other"));
        let mut taken = all(&greedy);
        assert_eq!(taken.len(), 14, "two are guaranteed to the other one");
        let mut of_other = all(&other);
        assert_eq!(of_other.len(), 2);
        let waiting: Vec<_> = (0..3)
            .map(|_| match other.take() {
                Asked::Waits(waiting) => waiting,
                _ => panic!("it has less than its share"),
            })
            .collect();
        assert!(matches!(greedy.take(), Asked::Full));
        for waiting in waiting {
            drop(taken.pop());
            assert!(at_once(&greedy).is_none(), "what it gave back is another's");
            of_other.push(waiting.slot().now_or_never().flatten().expect("it was given"));
        }
        drop((taken, of_other));
        assert_eq!(pool.taken.load(SeqCst), 0);
        assert!(!pool.is_waited_for());
    }

    #[tokio::test]
    async fn who_leaves_the_line_keeps_nobody_from_what_comes_after_it() {
        let pool = Pool::new(4);
        let (greedy, other) = (pool.join("greedy"), pool.join("other"));
        let (mut taken, none) = (all(&greedy), other.take());
        let Asked::Taken(_one) = none else { panic!("it is guaranteed one") };
        let (Asked::Waits(first), Asked::Waits(second)) = (other.take(), other.take()) else { panic!("they wait") };
        drop(first);
        drop(taken.pop());
        assert!(second.slot().now_or_never().flatten().is_some());
        assert!(!pool.is_waited_for());
    }

    #[test]
    fn threads_that_take_and_give_at_the_same_time_lose_nothing() {
        let pool = Pool::new(8);
        thread::scope(|scope| {
            for number in 0..8 {
                let holder = pool.join(&format!("n{}", number % 3));
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    for round in 0..500 {
                        let slots: Vec<_> = (0..round % 4).map(|_| holder.take()).collect();
                        for asked in slots {
                            match asked {
                                Asked::Waits(waiting) if round % 2 == 0 => {
                                    // The others of this thread are given back before.
                                    drop(runtime.block_on(async {
                                        tokio::time::timeout(Duration::from_millis(1), waiting.slot()).await
                                    }));
                                }
                                _ => {}
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(pool.taken.load(SeqCst), 0);
        assert!(!pool.is_waited_for());
        assert_eq!(all(&pool.join("later")).len(), 8);
    }
}
