use std::{
    future::ready,
    pin::{Pin, pin},
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;
use wasmtime::ResourceLimiterAsync;

use super::{
    guest_memory::{Lack, MemoryPart},
    host_memory::HostPart,
    idle::IdleInstances,
    instance_size::InstanceSize,
};

/// What an element of a table takes.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// A guest that wants more memory than is left waits so long at most for what others of its replica give back.
const GROWTH_PATIENCE: Duration = Duration::from_secs(5);

/// The memory limit of a replica, over all memories and tables of all its instances, and what the host holds for them.
pub(crate) struct MemoryBudget {
    /// Of its worker's memory.
    part: Arc<MemoryPart>,
    /// The most that one instance would have had to hold, of those that were refused more.
    lacking_bytes: AtomicU64,
    size: InstanceSize,
    /// Instances that have memory, and those of them whose guests wait for more.
    holders: AtomicU32,
    waiting: AtomicU32,
    given_back: Notify,
    /// Instances that only wait for a request: they give way.
    idle: Weak<IdleInstances>,
}

impl MemoryBudget {
    pub(super) fn new(part: Arc<MemoryPart>, idle: Weak<IdleInstances>) -> Arc<Self> {
        Arc::new(Self {
            part,
            lacking_bytes: AtomicU64::new(0),
            size: InstanceSize::default(),
            holders: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            given_back: Notify::new(),
            idle,
        })
    }

    /// Of a replica that keeps no instance, on a worker with memory for any.
    #[cfg(test)]
    pub(crate) fn alone(limit_bytes: u64) -> Arc<Self> {
        let worker = super::guest_memory::GuestMemory::new(u64::MAX, Arc::default());
        Self::new(worker.join("default", 0, limit_bytes), Weak::new())
    }

    #[cfg(test)]
    pub(crate) fn used_bytes(&self) -> u64 {
        self.part.used_bytes()
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.part.limit_bytes()
    }

    /// What an instance would have had to hold, that was refused more.
    pub(crate) fn lacking_bytes(&self) -> u64 {
        self.lacking_bytes.load(Ordering::Relaxed)
    }

    /// What an instance takes, as far as that is known.
    pub(super) fn size(&self) -> &InstanceSize {
        &self.size
    }

    /// How many instances have room, of `most`. One always has: it is told by itself what it lacks.
    pub(super) fn room(&self, most: u32) -> u32 {
        let room = self.limit_bytes() / self.size.bytes().max(1);
        u32::try_from(room).unwrap_or(u32::MAX).clamp(1, most.max(1))
    }

    pub(super) fn take(&self, bytes: u64) -> Result<(), Lack> {
        self.part.take(bytes)
    }

    /// Counts what is held in any case.
    pub(crate) fn take_anyway(&self, bytes: u64) {
        self.part.take_anyway(bytes);
    }

    /// Takes what is missing as soon as others give it back. Not if they never would: where it is beyond the limit by itself, where
    /// everybody waits already, or after [`GROWTH_PATIENCE`].
    async fn take_when_given_back(&self, held_bytes: u64, bytes: u64, mut lack: Lack) -> Result<(), Lack> {
        if held_bytes.saturating_add(bytes) > self.limit_bytes() {
            return Err(Lack::Limit);
        }
        let waiting = Waiting::among(self);
        if lack == Lack::Limit && waiting.all_wait() {
            return Err(lack);
        }
        let mut of_worker = None;
        let taken = async {
            loop {
                if lack == Lack::Worker && of_worker.is_none() {
                    of_worker = Some(self.part.waits());
                }
                let mut given_back = pin!(self.given_back.notified());
                let mut given_back_by_any = pin!(self.part.given_back_by_any());
                // Before it is looked at, so that nothing that is given back is missed.
                given_back.as_mut().enable();
                given_back_by_any.as_mut().enable();
                match self.take(bytes) {
                    Ok(()) => return,
                    Err(now) => lack = now,
                }
                let gives_way = self.idle.upgrade().is_some_and(|idle| idle.drop_oldest())
                    || lack == Lack::Worker && self.part.drop_oldest_idle();
                if !gives_way {
                    tokio::select! {
                        () = given_back => {}
                        () = given_back_by_any, if of_worker.is_some() => {}
                    }
                }
            }
        };
        tokio::time::timeout(GROWTH_PATIENCE, taken).await.map_err(|_| lack)
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.part.give_back(bytes);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.given_back.notify_waiters();
        }
    }
}

/// A guest that waits for memory, until it is dropped.
struct Waiting<'a>(&'a MemoryBudget);

impl<'a> Waiting<'a> {
    fn among(budget: &'a MemoryBudget) -> Self {
        budget.waiting.fetch_add(1, Ordering::SeqCst);
        Self(budget)
    }

    /// Whether nobody is left who could give anything back.
    fn all_wait(&self) -> bool {
        // One that is idle counts as one that could: it gives way, and who waits then looks again.
        self.0.waiting.load(Ordering::SeqCst) >= self.0.holders.load(Ordering::SeqCst)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The error that ends a guest which asks for more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryLimitReached {
    /// Its replica has as much as it may.
    #[error("the replica's memory limit was reached")]
    OfReplica {
        /// What the host would have had to hold for the instance, beside the memory that it has itself.
        host_bytes: u64,
    },
    /// Its worker has no more.
    #[error(
        "the worker's memory for guests is used up: raise its `--guest-memory`, or ask for memory with `resources.requests.memory`"
    )]
    OfWorker,
}

impl MemoryLimitReached {
    pub(super) fn new(lack: Lack, host_bytes: u64) -> Self {
        match lack {
            Lack::Limit => Self::OfReplica { host_bytes },
            Lack::Worker => Self::OfWorker,
        }
    }
}

/// What one instance has of its replica's budget. Given back when it is dropped.
pub(crate) struct MemoryAccount {
    pub(super) budget: Arc<MemoryBudget>,
    held_bytes: u64,
    /// The growth that was granted last, should it fail after all.
    last_bytes: u64,
    /// The instance is made: its guest can wait for more. While it is made, its request can go elsewhere.
    waits: bool,
    pub(super) host: HostPart,
}

impl MemoryAccount {
    pub(crate) fn new(budget: Arc<MemoryBudget>) -> Self {
        budget.holders.fetch_add(1, Ordering::SeqCst);
        Self { budget, held_bytes: 0, last_bytes: 0, waits: false, host: HostPart::default() }
    }

    /// Memories and tables, in bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// From now on its guest waits for memory that is not there.
    pub(super) fn wait_from_now_on(&mut self) {
        self.waits = true;
    }

    /// Of what has units of this size. What is beyond its own maximum is no growth.
    fn growing(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit_bytes: u64) -> Growing<'_> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Box::pin(ready(Ok(false)));
        }
        Box::pin(self.grow(current, desired, unit_bytes))
    }

    async fn grow(&mut self, current: usize, desired: usize, unit_bytes: u64) -> wasmtime::Result<bool> {
        let bytes = (desired.saturating_sub(current) as u64).saturating_mul(unit_bytes);
        let mut taken = self.budget.take(bytes);
        if let Err(lack) = taken
            && self.waits
        {
            taken = self.budget.take_when_given_back(self.held_bytes, bytes, lack).await;
        }
        if let Err(lack) = taken {
            if lack == Lack::Limit {
                self.budget.lacking_bytes.fetch_max(self.held_bytes.saturating_add(bytes), Ordering::Relaxed);
            }
            return Err(MemoryLimitReached::new(lack, self.host_bytes()).into());
        }
        self.held_bytes += bytes;
        self.last_bytes = bytes;
        self.budget.size.at_work(self.held_bytes);
        Ok(true)
    }

    fn undo_last(&mut self) {
        self.budget.give_back(self.last_bytes);
        self.held_bytes -= self.last_bytes;
        self.last_bytes = 0;
    }
}

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        self.budget.holders.fetch_sub(1, Ordering::SeqCst);
        self.budget.give_back(self.held_bytes);
    }
}

/// As the trait wants it.
type Growing<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<bool>> + Send + 'a>>;

impl ResourceLimiterAsync for MemoryAccount {
    fn memory_growing<'this: 'a, 'a>(
        &'this mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Growing<'a> {
        self.growing(current, desired, maximum, 1)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo_last();
        Ok(())
    }

    fn table_growing<'this: 'a, 'a>(
        &'this mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Growing<'a> {
        self.growing(current, desired, maximum, TABLE_ELEMENT_BYTES)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo_last();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn budget(limit_bytes: u64) -> Arc<MemoryBudget> {
        MemoryBudget::alone(limit_bytes)
    }

    /// Of an instance that is being made.
    fn account(budget: &Arc<MemoryBudget>) -> MemoryAccount {
        MemoryAccount::new(budget.clone())
    }

    /// Of a guest at work, with so much memory.
    async fn at_work(budget: &Arc<MemoryBudget>, bytes: usize) -> MemoryAccount {
        let mut account = account(budget);
        assert!(account.memory_growing(0, bytes, None).await.unwrap());
        account.wait_from_now_on();
        account
    }

    #[tokio::test]
    async fn all_instances_of_a_replica_share_its_limit() {
        let budget = budget(3000);
        let (mut one, mut two) = (account(&budget), account(&budget));
        assert!(one.memory_growing(0, 1000, None).await.unwrap());
        assert!(two.memory_growing(0, 1000, None).await.unwrap());
        assert!(two.memory_growing(1000, 2000, None).await.unwrap());
        assert!(one.memory_growing(1000, 1001, None).await.is_err());
        drop(two);
        assert!(one.memory_growing(1000, 3000, None).await.unwrap());
    }

    #[tokio::test]
    async fn a_guest_that_grows_waits_for_memory_that_another_gives_back() {
        let budget = budget(3000);
        let (mut one, two) = (at_work(&budget, 1000).await, at_work(&budget, 2000).await);
        let grown = tokio::spawn(async move {
            let grown = one.memory_growing(1000, 3000, None).await;
            (grown, one.held_bytes())
        });
        while budget.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(two);
        let (grown, held) = grown.await.unwrap();
        assert!(grown.unwrap());
        assert_eq!(held, 3000);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_would_never_come() {
        let budget = budget(3000);
        let mut one = at_work(&budget, 1000).await;
        assert!(one.memory_growing(1000, 3001, None).await.is_err(), "it is beyond the limit alone");
        let mut two = at_work(&budget, 1500).await;
        let waits = tokio::spawn(async move { (one.memory_growing(1000, 2000, None).await, one) });
        while budget.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(two.memory_growing(1500, 2500, None).await.is_err(), "everybody would wait");
        drop(two);
        assert!(waits.await.unwrap().0.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_waits_for_memory_only_so_long() {
        let budget = budget(3000);
        let (mut one, _two) = (at_work(&budget, 1000).await, at_work(&budget, 2000).await);
        let began = tokio::time::Instant::now();
        assert!(one.memory_growing(1000, 2000, None).await.is_err());
        assert!(began.elapsed() >= GROWTH_PATIENCE && began.elapsed() < GROWTH_PATIENCE + Duration::from_secs(1));
    }

    #[test]
    fn as_many_instances_have_room_as_fit_the_limit_and_one_always_has() {
        let room = |instance_bytes| {
            let budget = budget(256 << 20);
            budget.size.begin_with(instance_bytes);
            (0..InstanceSize::LEARNT).for_each(|_| budget.size.observe(instance_bytes));
            budget.room(100)
        };
        assert_eq!(room(10_600_000), 25);
        assert_eq!(room(16 << 20), 16);
        assert_eq!(room(1 << 20), 100);
        assert_eq!(room(1 << 30), 1);
        assert_eq!(budget(256 << 20).room(100), 100, "nothing was measured yet");
    }

    #[tokio::test]
    async fn tables_count_by_element() {
        let mut account = account(&budget(80));
        assert!(account.table_growing(0, 10, None).await.unwrap());
        assert!(account.table_growing(10, 11, None).await.is_err());
    }

    #[tokio::test]
    async fn growth_that_fails_in_the_end_is_not_counted() {
        let budget = budget(1000);
        let mut account = account(&budget);
        assert!(account.memory_growing(0, 600, None).await.unwrap());
        account.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert!(account.memory_growing(0, 1000, None).await.unwrap());
        assert!(!account.memory_growing(1000, 2000, Some(1500)).await.unwrap());
        drop(account);
        assert_eq!(budget.used_bytes(), 0);
    }
}
