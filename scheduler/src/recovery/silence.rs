use api::{ReplicaId, Timestamp, WorkerName};

use crate::{Action, ReplicaState, Resources, Scheduler, Subject, timers::Timer};

impl Scheduler {
    /// A worker said something. If it was silent, it goes on where it was.
    pub(crate) fn heard(&mut self, name: &WorkerName, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.last_heard = now;
        if worker.ready || !worker.connected {
            return;
        }
        worker.ready = true;
        worker.lost = false;
        let leftovers: Vec<ReplicaId> = worker.leftovers.keys().cloned().collect();
        let known: Vec<ReplicaId> = worker.replicas.iter().cloned().collect();
        self.check_worker_at(name, now + self.settings.not_ready_after);
        self.room.everywhere = true;
        self.touch_worker(name);
        self.plan.normal(Subject::Worker(name.clone()), "NodeReady", format!("Node {name} status is now: NodeReady"));
        for id in known {
            self.known_again(&id, now);
        }
        for id in leftovers {
            self.repeat_stop(name, &id, now);
        }
    }

    fn known_again(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(before) = self.replicas.get(id).and_then(|replica| replica.before_unknown.clone()) else { return };
        self.change(id, |replica| {
            replica.before_unknown = None;
            // Whether it was ready all the time is not known.
            replica.ready_since = (before == ReplicaState::Ready).then_some(now);
            replica.state = before;
        });
        self.check_available(id, now);
        if self.replicas[id].state == ReplicaState::Starting {
            let answer_by = now + self.settings.start_answer_within;
            self.timers.set(answer_by, Timer::StartUnanswered(id.clone()));
        }
    }

    pub(crate) fn disconnected(&mut self, name: &WorkerName, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.connected = false;
        // One that is lost already is now gone for what waits to be moved there.
        self.touch_worker(name);
        self.silent(name);
        self.check_worker_at(name, now);
    }

    /// A worker's time may have come: to be not ready, lost or forgotten.
    pub(crate) fn check_worker(&mut self, name: &WorkerName, now: Timestamp) {
        let Some(worker) = self.workers.get(name).filter(|worker| worker.check_at <= now) else { return };
        let silence = now.since(worker.last_heard);
        let settings = &self.settings;
        let (not_ready, lost, forgotten) = (settings.not_ready_after, settings.lost_after, settings.forgotten_after);
        let next = if worker.ready && silence < not_ready {
            not_ready
        } else if silence < lost {
            self.silent(name);
            lost
        } else if silence < forgotten || self.workers[name].connected {
            self.silent(name);
            self.lose(name);
            forgotten
        } else {
            self.silent(name);
            self.lose(name);
            return self.forget_worker(name);
        };
        let last_heard = self.workers[name].last_heard;
        // A connected worker that stays silent is not forgotten: it is looked at again now and then.
        let at = if last_heard + next > now { last_heard + next } else { now + not_ready };
        self.check_worker_at(name, at);
    }

    pub(super) fn check_worker_at(&mut self, name: &WorkerName, at: Timestamp) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.check_at = at;
        self.timers.set(at, Timer::Worker(name.clone()));
    }

    fn silent(&mut self, name: &WorkerName) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if !worker.ready {
            return;
        }
        worker.ready = false;
        let held: Vec<ReplicaId> = worker.replicas.iter().cloned().collect();
        self.release_nominees(name);
        self.touch_worker(name);
        self.plan.warning(
            Subject::Worker(name.clone()),
            "NodeNotReady",
            format!("Node {name} status is now: NodeNotReady"),
        );
        for id in held {
            self.unknown(&id);
        }
    }

    fn unknown(&mut self, id: &ReplicaId) {
        let runs = |state: &ReplicaState| {
            matches!(state, ReplicaState::Starting | ReplicaState::NotReady | ReplicaState::Ready)
        };
        if self.replicas.get(id).is_some_and(|replica| runs(&replica.state)) {
            self.change(id, |replica| {
                replica.before_unknown = Some(std::mem::replace(&mut replica.state, ReplicaState::Unknown));
                replica.ready_since = None;
            });
        }
    }

    /// A worker is lost: its replicas are replaced elsewhere. They may still run there, so they keep what they hold.
    fn lose(&mut self, name: &WorkerName) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if std::mem::replace(&mut worker.lost, true) {
            return;
        }
        for id in worker.owned() {
            let Some(replica) = self.replicas.get(&id) else { continue };
            // What stands by holds nothing, and is no Pod to speak of.
            let requests = if replica.reserved { replica.template.requests } else { Resources::default() };
            if replica.reserved {
                let message = format!("Node {name} has not been heard of: the pod is replaced");
                self.plan.warning(Subject::Replica(id.clone()), "NodeLost", message);
            }
            self.remove_replica(&id);
            if let Some(worker) = self.workers.get_mut(name) {
                worker.leave_over(id, requests);
            }
        }
        self.room.everywhere = true;
    }

    /// Somebody says that a worker is gone for good. If it comes back all the same, it is a new one.
    pub(crate) fn forget(&mut self, name: &WorkerName, now: Timestamp) {
        if self.workers.get(name).is_none_or(|worker| worker.connected) {
            return;
        }
        self.silent(name);
        self.lose(name);
        self.cordoned.remove(name);
        self.marks.remove(name);
        self.no_longer_expected(name, now);
        self.forget_worker(name);
    }

    fn forget_worker(&mut self, name: &WorkerName) {
        self.workers.remove(name);
        self.unreached.remove(name);
        self.dirty_workers.remove(name);
        self.room.everywhere = true;
        self.plan.report(Action::RemoveWorker(name.clone()));
    }
}
