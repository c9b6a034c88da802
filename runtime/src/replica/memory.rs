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
}

impl MemoryBudget {
    pub(crate) fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit_bytes, used_bytes: AtomicU64::new(0) })
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
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

    fn grow(&mut self, current: usize, desired: usize, unit_bytes: u64) -> wasmtime::Result<bool> {
        let bytes = (desired.saturating_sub(current) as u64).saturating_mul(unit_bytes);
        self.budget.take(bytes)?;
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
