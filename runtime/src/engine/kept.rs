use std::sync::Arc;

use super::{Slot, Slots, TABLE_ELEMENTS, pool_of, pooled};
use crate::worker::WorkerConfig;

/// Bytes of an instance's memory that stay resident in a slot of a [`KeptEngine`]: interpreters of JavaScript and Python come
/// with 10 to 20 MB.
pub(crate) const KEPT_MEMORY_BYTES: usize = 32 << 20;
/// Tables that a slot has, which are kept too.
const TABLES_EACH: usize = 2;
const TABLE_BYTES: usize = TABLE_ELEMENTS * size_of::<usize>();
/// What a slot keeps at most.
const SLOT_BYTES: u64 = (KEPT_MEMORY_BYTES + TABLES_EACH * TABLE_BYTES) as u64;

/// An engine of few slots, each of which keeps all that most guests of much memory have, so that the next instance faults in
/// none of its pages. Faults are what such guests spend most on where several threads run them: for each page that is taken
/// back or copied, the kernel interrupts the other processors to flush what they know of it.
///
/// What is in a slot is written anew, whole, after each instance. That is cheaper for guests that use most of their memory;
/// `compile::Keeping` finds out which do. All others have the engine of many slots that keep little, and so have these when
/// the few are taken: no more than the slots' sum stays resident, whatever runs.
pub(crate) struct KeptEngine {
    pub(crate) wasm: wasmtime::Engine,
    slots: Arc<Slots>,
}

impl KeptEngine {
    /// As many slots as the worker's `kept_memory_bytes` hold; `None` if that is none.
    pub(super) fn new(worker: &WorkerConfig) -> wasmtime::Result<Option<Self>> {
        let slots = u32::try_from(worker.kept_memory_bytes / SLOT_BYTES).unwrap_or(u32::MAX).min(worker.max_instances);
        if slots == 0 {
            return Ok(None);
        }
        let mut pool = pool_of(slots);
        pool.linear_memory_keep_resident(KEPT_MEMORY_BYTES)
            .table_keep_resident(TABLE_BYTES)
            // A component's own slots, then one that was never used, then another component's.
            .max_unused_warm_slots(slots);
        Ok(Some(Self { wasm: wasmtime::Engine::new(&pooled(pool))?, slots: Slots::new(slots) }))
    }

    /// Takes a slot, if one is free.
    pub(crate) fn slot(&self) -> Option<Slot> {
        self.slots.take()
    }
}

#[cfg(test)]
mod tests {
    use api::WorkerName;

    use super::*;

    fn slots(kept_memory_bytes: u64) -> usize {
        let mut config = WorkerConfig::new(WorkerName("w".into()));
        config.kept_memory_bytes = kept_memory_bytes;
        let Some(engine) = KeptEngine::new(&config).unwrap() else { return 0 };
        let taken: Vec<_> = std::iter::from_fn(|| engine.slot()).collect();
        taken.len()
    }

    #[test]
    fn as_many_slots_are_kept_as_their_memory_allows() {
        assert_eq!(slots(0), 0);
        assert_eq!(slots(SLOT_BYTES - 1), 0);
        assert_eq!(slots(SLOT_BYTES), 1);
        assert_eq!(slots(WorkerConfig::MAX_DEFAULT_KEPT_MEMORY_BYTES), 15);
    }
}
