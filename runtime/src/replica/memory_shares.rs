//! Who gets a worker's memory for guests: a pure decision, made from what each replica has drawn of it.
//!
//! - Each replica is *guaranteed* what its pod asks for. Of what no pod asks for, a quarter is guaranteed in equal parts to the
//!   namespaces, and in each to its replicas. Nobody is guaranteed more than its own limit.
//! - What nobody is owed by that, anybody may draw: what is idle is lent.
//! - A namespace's *share* is its part of the whole. Who would go beyond it gives way to a namespace below its own that waits. So
//!   what was borrowed is given back as instances end.
//!
//! The same thoughts as those of `engine/shares` about slots, for what is drawn in amounts of any size.

use std::collections::BTreeMap;

/// This part of what no pod asks for is guaranteed.
const GUARANTEED_PART: u64 = 4;

/// What all replicas of a worker have drawn of its memory.
pub(super) struct MemoryShares {
    total: u64,
    drawn: u64,
    /// What is to be kept for those that have less than they are guaranteed.
    owed: u64,
    namespaces: BTreeMap<String, Namespace>,
}

#[derive(Default)]
struct Namespace {
    drawn: u64,
    waiting: usize,
    replicas: BTreeMap<u64, Part>,
}

struct Part {
    reserved: u64,
    limit: u64,
    guaranteed: u64,
    drawn: u64,
}

impl Part {
    fn owed(&self) -> u64 {
        self.guaranteed.saturating_sub(self.drawn)
    }
}

impl MemoryShares {
    /// Of so many bytes.
    pub(super) fn new(total: u64) -> Self {
        Self { total, drawn: 0, owed: 0, namespaces: BTreeMap::new() }
    }

    /// A replica may want memory from now on, up to `limit`; its pod asks for `reserved`.
    pub(super) fn join(&mut self, namespace: &str, id: u64, reserved: u64, limit: u64) {
        let part = Part { reserved: reserved.min(limit), limit, guaranteed: 0, drawn: 0 };
        self.namespaces.entry(namespace.to_owned()).or_default().replicas.insert(id, part);
        self.guarantee();
    }

    /// A replica wants no more memory, and has none.
    pub(super) fn leave(&mut self, namespace: &str, id: u64) {
        let Some(left) = self.namespaces.get_mut(namespace) else { return };
        if let Some(part) = left.replicas.remove(&id) {
            left.drawn -= part.drawn;
            self.drawn -= part.drawn;
        }
        if left.replicas.is_empty() {
            self.namespaces.remove(namespace);
        }
        self.guarantee();
    }

    /// Gives a replica so many bytes more, if it may have them. Answers whether it may.
    pub(super) fn draw(&mut self, namespace: &str, id: u64, bytes: u64) -> bool {
        self.may_draw(namespace, id, bytes) && self.change(namespace, id, |drawn| drawn.saturating_add(bytes))
    }

    /// A replica gives so many bytes back.
    pub(super) fn give_back(&mut self, namespace: &str, id: u64, bytes: u64) {
        self.change(namespace, id, |drawn| drawn.saturating_sub(bytes));
    }

    /// Somebody of a namespace begins to wait for memory, or waits no more.
    pub(super) fn waits(&mut self, namespace: &str, begins: bool) {
        if let Some(waiting) = self.namespaces.get_mut(namespace) {
            waiting.waiting = if begins { waiting.waiting + 1 } else { waiting.waiting.saturating_sub(1) };
        }
    }

    fn may_draw(&self, namespace: &str, id: u64, bytes: u64) -> bool {
        let Some(asking) = self.namespaces.get(namespace) else { return false };
        let Some(part) = asking.replicas.get(&id) else { return false };
        let Some(left) = self.total.saturating_sub(self.drawn).checked_sub(bytes) else { return false };
        if bytes <= part.owed() {
            return true;
        }
        left >= self.owed - part.owed() && !self.gives_way(asking, bytes)
    }

    /// Whether a namespace would go beyond its share by that while one that has less than its own waits.
    fn gives_way(&self, asking: &Namespace, bytes: u64) -> bool {
        let share = self.total / self.namespaces.len().max(1) as u64;
        let lacks = |other: &Namespace| other.waiting > 0 && other.drawn < share && !std::ptr::eq(other, asking);
        asking.drawn.saturating_add(bytes) > share && self.namespaces.values().any(lacks)
    }

    fn change(&mut self, namespace: &str, id: u64, to: impl FnOnce(u64) -> u64) -> bool {
        let Some(of) = self.namespaces.get_mut(namespace) else { return false };
        let Some(part) = of.replicas.get_mut(&id) else { return false };
        let (before, owed) = (part.drawn, part.owed());
        part.drawn = to(before);
        self.owed = self.owed - owed + part.owed();
        self.drawn = self.drawn - before + part.drawn;
        of.drawn = of.drawn - before + part.drawn;
        true
    }

    /// Reckons what each is guaranteed, for those that are there now.
    fn guarantee(&mut self) {
        let parts = || self.namespaces.values().flat_map(|namespace| namespace.replicas.values());
        let reserved = parts().fold(0_u64, |sum, part| sum.saturating_add(part.reserved));
        let of_namespace = self.total.saturating_sub(reserved) / GUARANTEED_PART / self.namespaces.len().max(1) as u64;
        self.owed = 0;
        for namespace in self.namespaces.values_mut() {
            let of_each = of_namespace / namespace.replicas.len().max(1) as u64;
            for part in namespace.replicas.values_mut() {
                part.guaranteed = part.reserved.max(of_each).min(part.limit);
                self.owed = self.owed.saturating_add(part.owed());
            }
        }
    }
}

#[cfg(test)]
#[path = "memory_shares_tests.rs"]
mod tests;
