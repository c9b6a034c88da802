//! Replicas that leave a worker, and workers that end.

use std::collections::BTreeSet;

use api::{ReplicaId, TaintEffect, Timestamp, WorkerName};

use crate::{Scheduler, Subject, state::Worker};

impl Scheduler {
    /// A replica is to leave its worker. It serves on until another is ready in its place.
    pub(crate) fn evict(&mut self, id: &ReplicaId) {
        if self.replicas.get(id).is_some_and(|replica| replica.is_live() && !replica.leaving) {
            self.change(id, |replica| replica.leaving = true);
            self.plan.normal(Subject::Replica(id.clone()), "Evicted", "The pod is moved to another node".to_owned());
        }
    }

    /// A worker is about to end: all of its replicas are moved.
    pub(crate) fn leave(&mut self, name: &WorkerName) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.leaving = true;
        let held: Vec<ReplicaId> = worker.replicas.iter().cloned().collect();
        self.release_nominees(name);
        self.touch_worker(name);
        held.iter().for_each(|id| self.evict(id));
        self.touch_standbys_of(name);
    }

    /// Whether what leaves a worker may find a place: on a worker that takes replicas, be it that it is not heard of for now. One
    /// that is silent, but whose session goes on, may be back in a moment.
    pub(crate) fn has_elsewhere(&self) -> bool {
        let is_gone = |worker: &Worker| worker.lost && !worker.connected;
        self.workers.iter().any(|worker| !worker.leaving && !worker.cordoned && !is_gone(worker))
    }

    /// Where nothing can be moved, because all workers leave or the others are gone, what waits for that is looked at again.
    pub(crate) fn touch_what_waits_for_a_place(&mut self) {
        if self.dirty_workers.is_empty() || self.has_elsewhere() {
            return;
        }
        let held = self.workers.iter().filter(|worker| worker.leaving).flat_map(|worker| &worker.replicas);
        let waiting = held.filter_map(|id| self.replicas.get(id).map(|replica| replica.revision.clone()));
        let waiting: BTreeSet<_> = waiting.collect();
        waiting.iter().for_each(|key| self.touch_revision(key));
    }

    /// Moves what does not tolerate a worker's taints, as far as they say so.
    pub(crate) fn evict_intolerant(&mut self, name: &WorkerName) {
        let Some(worker) = self.workers.get(name) else { return };
        let expelling: Vec<_> = worker.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute).collect();
        let stays = |id: &ReplicaId| {
            let replica = self.replicas.get(id);
            replica.is_none_or(|replica| expelling.iter().all(|taint| replica.template.tolerates(taint)))
        };
        let moved: Vec<ReplicaId> = worker.replicas.iter().filter(|id| !stays(id)).cloned().collect();
        moved.iter().for_each(|id| self.evict(id));
        self.touch_standbys_of(name);
    }

    /// A worker's process has ended for certain. Nothing runs there any more, so nothing is waited for.
    pub(crate) fn died(&mut self, name: &WorkerName, now: Timestamp) {
        self.disconnected(name, now);
        self.no_longer_expected(name, now);
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.lost = true;
        for id in worker.leftovers.keys().cloned().collect::<Vec<_>>() {
            worker.clear_leftover(&id);
        }
        for id in worker.owned() {
            if self.replicas.get(&id).is_some_and(|replica| replica.reserved) {
                let message = format!("The worker {name} has ended: the pod is replaced");
                self.plan.warning(Subject::Replica(id.clone()), "NodeLost", message);
            }
            self.remove_replica(&id);
        }
        self.room.everywhere = true;
    }
}
