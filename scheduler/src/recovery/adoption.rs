use std::collections::BTreeMap;

use api::{
    ObjectKey, ReplicaId, Timestamp, WorkerName,
    replica::{ReplicaPhase, Reserves},
    session::{Capacity, RunningReplica, WorkerHello},
};

use crate::{
    ReplicaState, Resources, Scheduler,
    state::{Replica, Worker},
    timers::Timer,
};

/// What a worker can hold that has not said it.
const NOTHING: Capacity = Capacity { cpu_millis: 0, memory_bytes: 0, replicas: 0 };

impl Scheduler {
    /// A worker begins a session and says what it runs: that is taken for what is, whatever was believed.
    pub(crate) fn hello(&mut self, hello: WorkerHello, now: Timestamp) {
        let name = hello.name.clone();
        self.introduce(&hello, now);
        self.drop_leftovers(&name);
        self.heard(&name, now);
        let mut running: BTreeMap<ReplicaId, RunningReplica> =
            hello.running.into_iter().map(|running| (running.spec.id.clone(), running)).collect();
        running.retain(|_, running| !matches!(running.phase, ReplicaPhase::Stopped));
        let owned = self.workers[&name].owned();
        for id in owned {
            match running.remove(&id) {
                Some(reported) => self.reunite(&name, &id, reported.phase, now),
                None => self.absent(&id, now),
            }
        }
        for (id, reported) in running {
            if self.is_adoptable(&id, &reported) {
                self.adopt(&name, id, reported, now);
            } else {
                self.leave_over(&name, &reported);
                self.repeat_stop(&name, &id, now);
            }
        }
        self.evict_intolerant(&name);
    }

    /// A worker of an earlier life: it is there, and not ready, until it says hello or is forgotten.
    pub(crate) fn know(&mut self, name: &WorkerName, now: Timestamp) {
        self.expected.insert(name.clone());
        self.workers.add(Worker::new(name.clone(), NOTHING, now));
        self.touch_worker(name);
        self.check_worker_at(name, now + self.settings.not_ready_after);
    }

    fn introduce(&mut self, hello: &WorkerHello, now: Timestamp) {
        let name = &hello.name;
        if !self.workers.contains(name) {
            self.workers.add(Worker::new(name.clone(), hello.capacity, now));
        }
        self.no_longer_expected(name, now);
        self.touch_standbys_of(name);
        let (cordoned, unreached) = (self.cordoned.contains(name), self.unreached.get(name).cloned());
        let marks = self.marks.get(name).cloned().unwrap_or_default();
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.capacity = hello.capacity;
        worker.cached = hello.cached.iter().cloned().collect();
        worker.say((hello.labels.clone(), hello.taints.clone()), marks);
        worker.connected = true;
        worker.leaving = false;
        worker.cordoned = cordoned;
        worker.unreached = unreached;
        self.room.everywhere = true;
        self.touch_worker(name);
    }

    /// A worker that was waited for after the start has come, or will not. The last of them ends the waiting.
    pub(super) fn no_longer_expected(&mut self, name: &WorkerName, now: Timestamp) {
        if self.expected.remove(name) && self.expected.is_empty() && self.loaded && !self.settled {
            // Once its report has been taken in.
            self.timers.set(now, Timer::Settled);
        }
    }

    /// What runs of them is in the report; the rest has ended.
    fn drop_leftovers(&mut self, name: &WorkerName) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        for id in worker.leftovers.keys().cloned().collect::<Vec<_>>() {
            worker.clear_leftover(&id);
        }
    }

    /// A replica that is owned still runs where it should.
    fn reunite(&mut self, name: &WorkerName, id: &ReplicaId, phase: ReplicaPhase, now: Timestamp) {
        let stopping = self.replicas[id].is_stopping();
        self.owned_phase(id, phase, now);
        if stopping && self.replicas.contains_key(id) {
            self.send_stop(name, id, now);
        }
    }

    /// A replica that is owned does not run where it should: it is started again there, without a pause, as it did not fail.
    fn absent(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id) else { return };
        let worker = replica.worker.as_ref().and_then(|name| self.workers.get(name));
        // What is to start again starts where somebody reaches it.
        if worker.is_some_and(|worker| !worker.is_reached_by(&replica.template)) {
            return self.remove_replica(id);
        }
        match replica.state {
            ReplicaState::Stopping | ReplicaState::Standby { .. } => self.remove_replica(id),
            ReplicaState::BackOff { .. } | ReplicaState::Unplaced(_) => {}
            ReplicaState::Starting | ReplicaState::NotReady | ReplicaState::Ready | ReplicaState::Unknown => {
                self.change(id, |replica| {
                    let ran = matches!(replica.state, ReplicaState::NotReady | ReplicaState::Ready);
                    replica.restarts += u32::from(ran);
                    replica.state = ReplicaState::Starting;
                    replica.answered = false;
                    replica.ready_since = None;
                });
                if self.settled {
                    self.start(id, now);
                } else {
                    self.timers.set(now, Timer::StartUnanswered(id.clone()));
                }
            }
        }
    }

    /// A replica that nobody owns belongs to its revision if that is still there with the same image. If there are then too
    /// many, the rollout stops those that are needed least.
    fn is_adoptable(&self, id: &ReplicaId, reported: &RunningReplica) -> bool {
        let revision = self.revisions.get(&revision_of(id, reported));
        let same_image =
            |digest: &Option<api::Digest>| digest.as_ref().is_none_or(|digest| *digest == reported.spec.digest);
        !self.replicas.contains_key(id)
            && !matches!(reported.phase, ReplicaPhase::Draining | ReplicaPhase::Failed(_))
            && revision.is_some_and(|revision| same_image(&revision.spec.digest))
    }

    fn adopt(&mut self, name: &WorkerName, id: ReplicaId, reported: RunningReplica, now: Timestamp) {
        let key = revision_of(&id, &reported);
        let Some(revision) = self.revisions.get_mut(&key) else { return };
        if revision.spec.digest.is_none() {
            revision.spec.digest = Some(reported.spec.digest.clone());
            self.unsaved.insert(key.clone());
            self.room.untried.insert(key.clone());
        }
        let mut replica = Replica::new(id.clone(), revision, reported.spec.created);
        replica.worker = Some(name.clone());
        replica.digest = Some(reported.spec.digest);
        replica.state = ReplicaState::Starting;
        if reported.phase == ReplicaPhase::Standby {
            replica.reserved = false;
            replica.state = ReplicaState::Standby { ready: true };
        }
        replica.answered = true;
        self.add_replica(replica);
        self.owned_phase(&id, reported.phase, now);
    }

    fn leave_over(&mut self, name: &WorkerName, reported: &RunningReplica) {
        let Reserves { cpu_millis, memory_bytes } = reported.spec.reserves;
        let held = match reported.phase {
            ReplicaPhase::Standby => Resources::default(),
            _ => Resources { cpu_millis, memory_bytes },
        };
        if let Some(worker) = self.workers.get_mut(name) {
            worker.leave_over(reported.spec.id.clone(), held);
        }
    }
}

fn revision_of(id: &ReplicaId, reported: &RunningReplica) -> ObjectKey {
    ObjectKey::new(id.0.namespace.clone(), reported.spec.revision.as_str())
}
