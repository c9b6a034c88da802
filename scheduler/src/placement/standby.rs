//! Where a standby goes: it holds nothing, so that only what its worker is matters, and where it would start soonest.

use api::{Digest, WorkerName};
use rand::{Rng, rngs::SmallRng};

use super::{filters, sampling};
use crate::{
    Settings, Template,
    state::{Worker, Workers},
};

/// Whether a worker may go on to hold a standby of this template. That gateways reach it matters only for a new one: it is
/// asked again after each start of the control plane.
pub(crate) fn suits_standby(template: &Template, worker: &Worker) -> bool {
    filters::suits_class(template, worker)
}

/// A worker that has the component compiled, if there is one; of equals the one with most memory to spare.
pub(crate) fn place_standby(
    template: &Template,
    digest: &Digest,
    workers: &Workers,
    settings: &Settings,
    rng: &mut SmallRng,
) -> Option<WorkerName> {
    let count = workers.len();
    let first = if count > 0 { rng.random_range(0..count) } else { 0 };
    let suits = |worker: &&Worker| suits_standby(template, worker) && worker.is_reached_by(template);
    let suitable = workers.from(first).filter(suits);
    let candidates = suitable.take(sampling::candidates(count, settings));
    let best = candidates.max_by(|a, b| {
        let rank = |worker: &Worker| (worker.cached.contains(digest), spare_share(worker));
        let ((a_cached, a_spare), (b_cached, b_spare)) = (rank(a), rank(b));
        a_cached.cmp(&b_cached).then(a_spare.total_cmp(&b_spare))
    });
    best.map(|worker| worker.name.clone())
}

fn spare_share(worker: &Worker) -> f64 {
    let capacity = worker.capacity.memory_bytes.max(1) as f64;
    1.0 - worker.reserved.memory_bytes as f64 / capacity
}
