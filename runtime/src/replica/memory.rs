use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use wasmtime::ResourceLimiter;

/// What an element of a table takes.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// The memory limit of a replica, over all memories and tables of all its instances.
pub(crate) struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    /// The most that one instance would have had to hold, of those that were refused more.
    lacking_bytes: AtomicU64,
}

impl MemoryBudget {
    pub(crate) fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit_bytes, used_bytes: AtomicU64::new(0), lacking_bytes: AtomicU64::new(0) })
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What an instance would have had to hold, that was refused more.
    pub(crate) fn lacking_bytes(&self) -> u64 {
        self.lacking_bytes.load(Ordering::Relaxed)
    }

    /// How many instances of this size have room, of `most`. One always has: it is told by itself what it lacks.
    pub(crate) fn room_for(&self, instance_bytes: u64, most: u32) -> u32 {
        let room = self.limit_bytes / instance_bytes.max(1);
        u32::try_from(room).unwrap_or(u32::MAX).clamp(1, most.max(1))
    }

    fn take(&self, bytes: u64) -> Result<(), MemoryLimitReached> {
        let before = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.limit_bytes {
            return Ok(());
        }
        self.give_back(bytes);
        Err(MemoryLimitReached)
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The error that ends a guest which asks for more.
#[derive(Debug, thiserror::Error)]
#[error("the replica's memory limit was reached")]
pub(crate) struct MemoryLimitReached;

/// What an instance of a replica takes, in bytes: at first what it is made with, then what instances had at the end of their
/// requests, on average.
#[derive(Default)]
pub(crate) struct InstanceSize(AtomicU64);

impl InstanceSize {
    /// So much of the difference to what was seen last goes into the average.
    const WEIGHT: i64 = 8;

    /// What was measured; zero, if nothing was yet.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_with(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// An instance had so much at the end of a request. Mostly it is what it was before, and nothing is written.
    pub(crate) fn observe(&self, bytes: u64) {
        let before = self.bytes();
        if before == bytes {
            return;
        }
        let step = (bytes.cast_signed() - before.cast_signed()) / Self::WEIGHT;
        // Of requests that end at the same moment one may be lost, which an average survives.
        self.0.store(
            if before == 0 || step == 0 { bytes } else { before.saturating_add_signed(step) },
            Ordering::Relaxed,
        );
    }
}

/// What one instance has of its replica's budget. Given back when it is dropped.
pub(crate) struct MemoryAccount {
    budget: Arc<MemoryBudget>,
    held_bytes: u64,
    /// The growth that was granted last, should it fail after all.
    last_bytes: u64,
}

impl MemoryAccount {
    pub(crate) fn new(budget: Arc<MemoryBudget>) -> Self {
        Self { budget, held_bytes: 0, last_bytes: 0 }
    }

    /// Memories and tables, in bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    fn grow(&mut self, current: usize, desired: usize, unit_bytes: u64) -> wasmtime::Result<bool> {
        let bytes = (desired.saturating_sub(current) as u64).saturating_mul(unit_bytes);
        if let Err(reached) = self.budget.take(bytes) {
            self.budget.lacking_bytes.fetch_max(self.held_bytes.saturating_add(bytes), Ordering::Relaxed);
            return Err(reached.into());
        }
        self.held_bytes += bytes;
        self.last_bytes = bytes;
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
        self.budget.give_back(self.held_bytes);
    }
}

impl ResourceLimiter for MemoryAccount {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(current, desired, 1)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo_last();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(current, desired, TABLE_ELEMENT_BYTES)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo_last();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_instances_of_a_replica_share_its_limit() {
        let budget = MemoryBudget::new(3000);
        let (mut one, mut two) = (MemoryAccount::new(budget.clone()), MemoryAccount::new(budget.clone()));
        assert!(one.memory_growing(0, 1000, None).unwrap());
        assert!(two.memory_growing(0, 1000, None).unwrap());
        assert!(two.memory_growing(1000, 2000, None).unwrap());
        assert!(one.memory_growing(1000, 1001, None).is_err());
        drop(two);
        assert!(one.memory_growing(1000, 3000, None).unwrap());
    }

    #[test]
    fn as_many_instances_have_room_as_fit_the_limit_and_one_always_has() {
        let budget = MemoryBudget::new(256 << 20);
        assert_eq!(budget.room_for(10_600_000, 100), 25);
        assert_eq!(budget.room_for(16 << 20, 100), 16);
        assert_eq!(budget.room_for(1 << 20, 100), 100);
        assert_eq!(budget.room_for(1 << 30, 100), 1);
        assert_eq!(budget.room_for(0, 100), 100, "nothing was measured yet");
    }

    #[test]
    fn what_an_instance_takes_follows_what_instances_had_and_one_of_many_changes_little() {
        let size = InstanceSize::default();
        size.begin_with(1000);
        size.observe(9000);
        assert_eq!(size.bytes(), 2000);
        (0..100).for_each(|_| size.observe(1000));
        assert_eq!(size.bytes(), 1000);
        (0..100).for_each(|_| size.observe(3000));
        assert_eq!(size.bytes(), 3000);
    }

    #[test]
    fn tables_count_by_element() {
        let mut account = MemoryAccount::new(MemoryBudget::new(80));
        assert!(account.table_growing(0, 10, None).unwrap());
        assert!(account.table_growing(10, 11, None).is_err());
    }

    #[test]
    fn growth_that_fails_in_the_end_is_not_counted() {
        let budget = MemoryBudget::new(1000);
        let mut account = MemoryAccount::new(budget.clone());
        assert!(account.memory_growing(0, 600, None).unwrap());
        account.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert!(account.memory_growing(0, 1000, None).unwrap());
        assert!(!account.memory_growing(1000, 2000, Some(1500)).unwrap());
        drop(account);
        assert_eq!(budget.used_bytes.load(Ordering::Relaxed), 0);
    }
}
