//! Who gets the slots of a pool: a pure decision, made from what each replica has of it.
//!
//! - While nobody else is owed a slot, anybody may take it: what is idle is lent.
//! - Each namespace is *guaranteed* its part of a quarter of the pool, and each replica its part of that, at once: these slots
//!   are kept from who borrows.
//! - Its *share* is its part of the whole pool. Who has less of it than that, and finds nothing, waits: what ends is
//!   given to the namespace that has least, and in it to the replica that has least. So what was borrowed is given back as
//!   instances end. Who has its share and finds nothing is refused, and may come again.
//!
//! Time is not looked at, and nothing is told to anybody: `engine/pool` does that.

use std::collections::{BTreeMap, VecDeque};

/// This part of a pool is guaranteed.
const GUARANTEED_PART: u32 = 4;

/// Requests of a replica that wait for a slot; further ones are refused.
pub(crate) const MAX_WAITING: usize = 128;

/// A number of slots that somebody else may keep.
pub(crate) trait Count {
    fn get(&self) -> u32;
}

/// What is known of all who have slots of a pool or may want some. The counts themselves are changed by who gives slots.
pub(crate) struct Shares<C> {
    total: u32,
    namespaces: BTreeMap<String, Namespace<C>>,
    asked: u64,
}

struct Namespace<C> {
    used: C,
    replicas: BTreeMap<u64, Member<C>>,
}

struct Member<C> {
    used: C,
    /// In the order in which they came.
    waiting: VecDeque<Ticket>,
}

/// Who waits. Lower numbers came earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// What becomes of who asks for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It has one.
    Grant,
    /// It waits, and is found by [`Shares::next`].
    Queue(Ticket),
    /// It has its share, or too many wait for the same.
    Refuse,
}

impl<C: Count> Namespace<C> {
    /// Slots that are to be kept for it, out of those that it is guaranteed, if `more` of its replicas had another one.
    fn owed(&self, guaranteed: u32, more: Option<u64>) -> u32 {
        let lacks = guaranteed.saturating_sub(self.used.get() + u32::from(more.is_some()));
        let each = guaranteed / self.len();
        if each == 0 {
            return lacks;
        }
        let of_replica =
            |(id, member): (&u64, &Member<C>)| each.saturating_sub(member.used.get() + u32::from(more == Some(*id)));
        self.replicas.iter().map(of_replica).sum::<u32>().max(lacks)
    }

    fn len(&self) -> u32 {
        u32::try_from(self.replicas.len()).unwrap_or(u32::MAX).max(1)
    }
}

impl<C: Count> Shares<C> {
    pub(crate) fn new(total: u32) -> Self {
        Self { total, namespaces: BTreeMap::new(), asked: 0 }
    }

    /// A replica may want slots from now on. `of_namespace` makes what counts those of its namespace, if it is the first one there.
    /// Answers that.
    pub(crate) fn join(&mut self, namespace: &str, id: u64, used: C, of_namespace: impl FnOnce() -> C) -> C
    where
        C: Clone,
    {
        let joined = self
            .namespaces
            .entry(namespace.to_owned())
            .or_insert_with(|| Namespace { used: of_namespace(), replicas: BTreeMap::new() });
        joined.replicas.insert(id, Member { used, waiting: VecDeque::new() });
        joined.used.clone()
    }

    /// A replica wants no more slots, and has none.
    pub(crate) fn leave(&mut self, namespace: &str, id: u64) {
        let Some(left) = self.namespaces.get_mut(namespace) else { return };
        left.replicas.remove(&id);
        if left.replicas.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// So many slots may be taken without asking, as long as nobody waits: what is left then is all that can be owed to others.
    pub(crate) fn free_to_all(&self) -> u32 {
        self.total - self.most_owed().min(self.len().saturating_mul(self.guaranteed()))
    }

    /// Decides about a replica that wants a slot, while so many are free.
    pub(crate) fn ask(&mut self, namespace: &str, id: u64, free: u32) -> Decision {
        let somebody_waits = self.waits();
        let Some(asking) = self.namespaces.get(namespace) else { return Decision::Refuse };
        let Some(member) = asking.replicas.get(&id) else { return Decision::Refuse };
        // Who came earlier goes first; what is guaranteed to one is no matter of the others.
        let first = member.waiting.is_empty() && (!somebody_waits || self.draws_on_its_own(asking, id));
        if first && self.may_take(asking, id, free) {
            return Decision::Grant;
        }
        let below = asking.used.get() < self.share() || member.used.get() < (self.share() / asking.len()).max(1);
        if !below || member.waiting.len() >= MAX_WAITING {
            return Decision::Refuse;
        }
        self.asked += 1;
        let ticket = Ticket(self.asked);
        if let Some(member) = self.namespaces.get_mut(namespace).and_then(|asking| asking.replicas.get_mut(&id)) {
            member.waiting.push_back(ticket);
        }
        Decision::Queue(ticket)
    }

    /// Who of those that wait gets a slot, while so many are free. It waits no more.
    pub(crate) fn next(&mut self, free: u32) -> Option<Ticket> {
        let mut best = None;
        for (name, namespace) in &self.namespaces {
            for (id, member) in &namespace.replicas {
                let Some(ticket) = member.waiting.front() else { continue };
                let rank = (namespace.used.get(), member.used.get(), *ticket);
                let better = best.as_ref().is_none_or(|(best, _, _)| rank < *best);
                if better && self.may_take(namespace, *id, free) {
                    best = Some((rank, name.clone(), *id));
                }
            }
        }
        let (_, namespace, id) = best?;
        self.namespaces.get_mut(&namespace)?.replicas.get_mut(&id)?.waiting.pop_front()
    }

    /// Somebody does not wait any more.
    pub(crate) fn forget(&mut self, namespace: &str, id: u64, ticket: Ticket) {
        if let Some(member) = self.namespaces.get_mut(namespace).and_then(|waiting| waiting.replicas.get_mut(&id)) {
            member.waiting.retain(|waiting| *waiting != ticket);
        }
    }

    /// Whether a slot may go to a replica: because it is guaranteed, or because nobody is owed it.
    fn may_take(&self, asking: &Namespace<C>, id: u64, free: u32) -> bool {
        free > 0 && (self.draws_on_its_own(asking, id) || free > self.owed_if_given(asking, id))
    }

    /// Whether what is kept for a namespace gets less by it.
    fn draws_on_its_own(&self, asking: &Namespace<C>, id: u64) -> bool {
        let guaranteed = self.guaranteed();
        asking.owed(guaranteed, Some(id)) < asking.owed(guaranteed, None)
    }

    /// Slots that are kept for all, if this replica had another one.
    fn owed_if_given(&self, asking: &Namespace<C>, id: u64) -> u32 {
        let guaranteed = self.guaranteed();
        let of = |namespace: &Namespace<C>| namespace.owed(guaranteed, std::ptr::eq(namespace, asking).then_some(id));
        self.namespaces.values().map(of).sum::<u32>().min(self.most_owed())
    }

    fn waits(&self) -> bool {
        let mut members = self.namespaces.values().flat_map(|namespace| namespace.replicas.values());
        members.any(|member| !member.waiting.is_empty())
    }

    fn most_owed(&self) -> u32 {
        self.total / GUARANTEED_PART
    }

    /// What each namespace is guaranteed. Where there are more namespaces than slots for all of them, one each, for those who come.
    fn guaranteed(&self) -> u32 {
        let most = self.most_owed();
        (most / self.len()).max(1).min(most)
    }

    /// The part of each namespace of the whole.
    fn share(&self) -> u32 {
        (self.total / self.len()).max(1)
    }

    fn len(&self) -> u32 {
        u32::try_from(self.namespaces.len()).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
