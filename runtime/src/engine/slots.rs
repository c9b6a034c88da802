use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Room for instances in a pool of which nobody has to have a part, since there is another one for who finds none. The pool
/// fails when it is full, so admission ends below it.
pub(crate) struct Slots {
    taken: AtomicU32,
    total: u32,
}

impl Slots {
    pub(crate) fn new(total: u32) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU32::new(0), total })
    }

    /// Takes a slot, if one is free.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        // Relaxed: the number itself is all that is shared.
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(self.clone());
        (before < self.total).then_some(slot)
    }
}

/// A slot that is taken; dropped, it is free again.
pub(crate) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_slots_are_given_than_there_are() {
        let slots = Slots::new(2);
        let first = slots.take();
        let second = slots.take();
        assert!(first.is_some() && second.is_some());
        assert!(slots.take().is_none());
        drop(first);
        assert!(slots.take().is_some());
    }
}
