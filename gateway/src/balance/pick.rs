//! Which replica takes the next request: the one with most free concurrency.

use std::{cell::RefCell, sync::Arc};

use rand::{Rng, rngs::SmallRng};

use super::replica::{Replica, Slot};
use crate::random::thread_rng;

/// Up to this many replicas all are looked at; beyond, the better of two random ones is taken ("power of two choices",
/// Mitzenmacher 2001), which spreads load nearly as well at a constant price.
const FULL_SCAN_MAX: usize = 16;

thread_local! {
    static RNG: RefCell<SmallRng> = RefCell::new(thread_rng());
}

/// Takes a slot of the best replica that `wanted` allows; `None` if every one of them is full.
pub(super) fn pick(replicas: &[Arc<Replica>], wanted: impl Fn(&Replica) -> bool) -> Option<Slot> {
    match replicas {
        [] => None,
        [only] => wanted(only).then(|| only.try_take()).flatten(),
        few if few.len() <= FULL_SCAN_MAX => {
            let start = below(few.len());
            most_free(few, start, &wanted).and_then(Replica::try_take).or_else(|| any(few, start, &wanted))
        }
        many => {
            let (one, other) = (below(many.len()), below(many.len()));
            let better = if many[one].free() >= many[other].free() { one } else { other };
            let first = &many[better];
            wanted(first).then(|| first.try_take()).flatten().or_else(|| any(many, one, &wanted))
        }
    }
}

/// The replica with most free slots; of equals the first from `start` on, so that load spreads.
fn most_free<'a>(
    replicas: &'a [Arc<Replica>],
    start: usize,
    wanted: &impl Fn(&Replica) -> bool,
) -> Option<&'a Arc<Replica>> {
    let mut best: Option<(&Arc<Replica>, u32)> = None;
    for replica in from(replicas, start).filter(|replica| wanted(replica)) {
        let free = replica.free();
        if best.is_none_or(|(_, most)| free > most) {
            best = Some((replica, free));
        }
    }
    best.map(|(replica, _)| replica)
}

/// The first free one: for when the best was taken by another thread in between.
fn any(replicas: &[Arc<Replica>], start: usize, wanted: &impl Fn(&Replica) -> bool) -> Option<Slot> {
    from(replicas, start).filter(|replica| wanted(replica)).find_map(|replica| replica.try_take())
}

fn from(replicas: &[Arc<Replica>], start: usize) -> impl Iterator<Item = &Arc<Replica>> {
    let (before, after) = replicas.split_at(start);
    after.iter().chain(before)
}

fn below(n: usize) -> usize {
    RNG.with_borrow_mut(|rng| rng.random_range(0..n))
}
