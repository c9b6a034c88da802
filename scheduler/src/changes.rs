//! The only ways in which replicas change: what is counted and indexed follows here.

use std::collections::btree_map::Entry;

use api::{ObjectKey, ReplicaId, WorkerName};

use crate::{
    Scheduler,
    state::{Replica, Standing},
};

impl Scheduler {
    pub(crate) fn add_replica(&mut self, replica: Replica) {
        let id = replica.id.clone();
        if let Some(worker) = replica.worker.as_ref().and_then(|name| self.workers.get_mut(name)) {
            worker.take_in(&replica);
            self.dirty_workers.insert(worker.name.clone());
        }
        if let Some(revision) = self.revisions.get_mut(&replica.revision) {
            revision.recount(&id, Standing::ABSENT, Standing::of(&replica));
        }
        self.counted(&replica.revision, replica.worker.is_some());
        *self.priorities.entry(replica.priority()).or_default() += 1;
        if let Some(before) = self.replicas.insert(id.clone(), replica) {
            self.one_less(before.priority());
        }
        self.dirty_replicas.insert(id);
    }

    /// Changes a replica. Nothing happens if there is none.
    pub(crate) fn change(&mut self, id: &ReplicaId, change: impl FnOnce(&mut Replica)) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        let (before, held) = (Standing::of(replica), (replica.worker.is_some(), replica.reserved));
        change(replica);
        // Only what is ready can be available.
        replica.available &= replica.is_ready();
        let holds = (replica.worker.is_some(), replica.reserved);
        if let Some(worker) =
            replica.worker.as_ref().filter(|_| holds != held).and_then(|name| self.workers.get_mut(name))
        {
            worker.let_go(replica);
            worker.take_in(replica);
            self.dirty_workers.insert(worker.name.clone());
        }
        if let Some(revision) = self.revisions.get_mut(&replica.revision) {
            revision.recount(id, before, Standing::of(replica));
        }
        let (key, is_placed) = (replica.revision.clone(), replica.worker.is_some());
        self.counted(&key, is_placed);
        self.dirty_replicas.insert(id.clone());
    }

    /// A replica has ended: its name is gone, and what it held is free.
    pub(crate) fn remove_replica(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.remove(id) else { return };
        self.one_less(replica.priority());
        if let Some(worker) = replica.worker.as_ref().and_then(|name| self.workers.get_mut(name)) {
            worker.let_go(&replica);
            self.dirty_workers.insert(worker.name.clone());
            self.room.freed.insert(worker.name.clone());
        }
        if let Some(worker) = replica.nominated.as_ref().and_then(|name| self.workers.get_mut(name)) {
            worker.nominees.remove(id);
            self.room.freed.insert(worker.name.clone());
        }
        if let Some(scaling) = self.deployments.get_mut(&replica.group).and_then(|owner| owner.scaling.as_mut()) {
            scaling.cpu.remove(id);
        }
        if let Some(revision) = self.revisions.get_mut(&replica.revision) {
            revision.recount(id, Standing::of(&replica), Standing::ABSENT);
            if revision.unplaced.is_empty() {
                self.waiting.remove(&replica.revision);
            }
        }
        self.touch_revision(&replica.revision);
        self.dirty_replicas.insert(id.clone());
    }

    fn one_less(&mut self, priority: i32) {
        if let Entry::Occupied(mut count) = self.priorities.entry(priority) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// A replica was counted into its revision: what waits for a worker is known anew.
    fn counted(&mut self, key: &ObjectKey, is_placed: bool) {
        let Some(revision) = self.revisions.get(key) else { return };
        if revision.unplaced.is_empty() {
            self.waiting.remove(key);
        } else if self.waiting.insert(key.clone()) || !is_placed {
            self.room.untried.insert(key.clone());
        }
        self.touch_revision(key);
    }

    /// Something about a revision or its replicas has changed.
    pub(crate) fn touch_revision(&mut self, key: &ObjectKey) {
        let Some(revision) = self.revisions.get(key) else { return };
        self.restated.insert(key.clone());
        match &revision.spec.deployment {
            Some(owner) if self.deployments.contains_key(owner) => {
                self.dirty_deployments.insert(owner.clone());
            }
            // A Deployment that has not been told yet will look at its revisions.
            Some(_) => {}
            None => {
                self.dirty_revisions.insert(key.clone());
            }
        }
    }

    pub(crate) fn touch_deployment(&mut self, key: &ObjectKey) {
        if self.deployments.contains_key(key) {
            self.dirty_deployments.insert(key.clone());
        }
    }

    pub(crate) fn touch_worker(&mut self, name: &WorkerName) {
        self.dirty_workers.insert(name.clone());
    }
}
