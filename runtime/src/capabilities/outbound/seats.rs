use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of a worker's guests to hosts outside, and the part of its descriptors that they are at most.
const OF_WORKER: usize = 4096;
const PART_OF_DESCRIPTORS: u64 = 4;
/// Those of one replica, with what is kept of them.
const OF_REPLICA: usize = 512;
/// Of these, connections that are kept for a later request. One that is made when there are so many ends with its answer.
const KEPT_OF_REPLICA: usize = 64;

/// How many connections the guests of a worker may make.
pub(super) fn of_worker() -> Arc<Semaphore> {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / PART_OF_DESCRIPTORS;
    Arc::new(Semaphore::new(usize::try_from(descriptors).unwrap_or(OF_WORKER).clamp(1, OF_WORKER)))
}

/// How many those of one replica may make.
#[derive(Clone)]
pub(super) struct Seats {
    of_worker: Arc<Semaphore>,
    of_replica: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

/// What a connection takes of them, until it is dropped.
pub(super) struct Seat {
    _of_worker: OwnedSemaphorePermit,
    _of_replica: OwnedSemaphorePermit,
    kept: Option<OwnedSemaphorePermit>,
}

impl Seats {
    pub(super) fn of_replica(of_worker: Arc<Semaphore>) -> Self {
        let (of_replica, kept) = (Semaphore::new(OF_REPLICA), Semaphore::new(KEPT_OF_REPLICA));
        Self { of_worker, of_replica: Arc::new(of_replica), kept: Arc::new(kept) }
    }

    /// `None`: there are as many connections as there may be.
    pub(super) fn take(&self) -> Option<Seat> {
        Some(Seat {
            _of_replica: self.of_replica.clone().try_acquire_owned().ok()?,
            _of_worker: self.of_worker.clone().try_acquire_owned().ok()?,
            kept: self.kept.clone().try_acquire_owned().ok(),
        })
    }
}

impl Seat {
    /// Whether its connection may wait for a later request.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_has_so_many_connections_and_leaves_others_theirs() {
        let worker = Arc::new(Semaphore::new(OF_REPLICA + 2));
        let (greedy, other) = (Seats::of_replica(worker.clone()), Seats::of_replica(worker.clone()));
        let mut taken: Vec<_> = std::iter::from_fn(|| greedy.take()).collect();
        assert_eq!((taken.len(), taken.iter().filter(|seat| seat.is_kept()).count()), (OF_REPLICA, KEPT_OF_REPLICA));
        let seat = other.take();
        assert!(seat.as_ref().is_some_and(Seat::is_kept) && other.take().is_some());
        taken.pop();
        assert!(greedy.take().is_some_and(|seat| !seat.is_kept()));
        drop((taken, seat));
        assert_eq!(worker.available_permits(), OF_REPLICA + 2);
    }
}
