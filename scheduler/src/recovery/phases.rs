use api::{
    ReplicaId, Timestamp, WorkerName,
    replica::{Failure, ReplicaPhase},
};

use super::backoff;
use crate::{ReplicaState, Resources, Scheduler, Subject, state::Replica, timers::Timer};

impl Scheduler {
    /// A worker says where a replica is.
    pub(crate) fn phase(&mut self, worker: &WorkerName, id: &ReplicaId, phase: ReplicaPhase, now: Timestamp) {
        let owned = self.replicas.get(id).is_some_and(|replica| replica.worker.as_ref() == Some(worker));
        if owned {
            return self.owned_phase(id, phase, now);
        }
        match phase {
            ReplicaPhase::Stopped => self.leftover_ended(worker, id),
            ReplicaPhase::Failed(_) => self.ask_whether_ended(worker, id, now),
            // It ends by itself, or was told to.
            ReplicaPhase::Draining => {}
            ReplicaPhase::Starting | ReplicaPhase::NotReady | ReplicaPhase::Ready | ReplicaPhase::Standby => {
                self.stray(worker, id, now);
            }
        }
    }

    /// A replica that is to end has failed. Its start may have been repeated, and then an earlier run of it has failed and a
    /// later one holds its room still: that it has ended is known from the answer to a stop, which a worker gives also for
    /// what it does not run.
    fn ask_whether_ended(&mut self, worker: &WorkerName, id: &ReplicaId, now: Timestamp) {
        self.repeat_stop(worker, id, now);
    }

    /// A worker runs what nobody owns, and what it was not told to stop: it is told now.
    fn stray(&mut self, name: &WorkerName, id: &ReplicaId, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(name).filter(|worker| !worker.leftovers.contains_key(id)) else {
            return;
        };
        // What it holds is not said; it is at least one more.
        worker.leave_over(id.clone(), Resources::default());
        self.touch_worker(name);
        self.repeat_stop(name, id, now);
    }

    pub(crate) fn owned_phase(&mut self, id: &ReplicaId, phase: ReplicaPhase, now: Timestamp) {
        let stopping = self.replicas[id].is_stopping();
        match phase {
            ReplicaPhase::Stopped => self.remove_replica(id),
            ReplicaPhase::Failed(_) if stopping => {
                if let Some(worker) = self.replicas[id].worker.clone() {
                    self.ask_whether_ended(&worker, id, now);
                }
            }
            // It was told to stop: what it says until then is late.
            _ if stopping => {}
            phase if self.replicas[id].is_standby() => self.standby_phase(id, phase, now),
            // It was to go anyway, and another takes its place elsewhere.
            ReplicaPhase::Failed(_) if self.replicas[id].leaving => self.stop_replica(id, now),
            ReplicaPhase::Failed(failure) => self.failed(id, failure, now),
            // Its worker stops it by itself: it is replaced.
            ReplicaPhase::Draining => self.stop_replica(id, now),
            // It was taken for one that starts, as its worker was only trying whether it could.
            ReplicaPhase::Standby => self.change(id, |replica| {
                replica.reserved = false;
                replica.answered = true;
                replica.state = ReplicaState::Standby { ready: true };
            }),
            ReplicaPhase::Starting => self.change(id, |replica| {
                replica.state = ReplicaState::Starting;
                replica.answered = true;
                replica.ready_since = None;
            }),
            ReplicaPhase::NotReady => {
                self.runs(id, now);
                self.change(id, |replica| {
                    replica.state = ReplicaState::NotReady;
                    replica.ready_since = None;
                });
            }
            ReplicaPhase::Ready => {
                self.runs(id, now);
                self.change(id, |replica| {
                    replica.state = ReplicaState::Ready;
                    replica.ready_since.get_or_insert(now);
                });
                self.check_available(id, now);
            }
        }
    }

    /// A worker says how many requests a replica takes at the same time.
    pub(crate) fn slots(&mut self, worker: &WorkerName, id: &ReplicaId, slots: u32) {
        let told = |replica: &&Replica| replica.worker.as_ref() == Some(worker) && replica.slots != Some(slots);
        let Some(revision) = self.replicas.get(id).filter(told).map(|replica| replica.revision.clone()) else { return };
        self.change(id, |replica| replica.slots = Some(slots));
        if let Some(revision) = self.revisions.get_mut(&revision) {
            // What it takes of a replica of today is what its next one will take.
            revision.slots = Some(slots);
        }
    }

    /// The guest has been started, if it was not before.
    fn runs(&mut self, id: &ReplicaId, now: Timestamp) {
        let ran = matches!(self.replicas[id].state, ReplicaState::NotReady | ReplicaState::Ready);
        if ran {
            return;
        }
        self.change(id, |replica| {
            replica.answered = true;
            replica.started = Some(now);
        });
        let message = format!("Started container {}", self.replicas[id].template.container);
        self.plan.normal(Subject::Replica(id.clone()), "Started", message);
    }

    /// A replica that has been ready for long enough is available.
    pub(crate) fn check_available(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id).filter(|replica| replica.is_ready() && !replica.available) else {
            return;
        };
        let (Some(since), Some(revision)) = (replica.ready_since, self.revisions.get(&replica.revision)) else {
            return;
        };
        let at = since + revision.spec.min_ready;
        if at <= now {
            self.change(id, |replica| replica.available = true);
        } else {
            self.timers.set(at, Timer::Available(id.clone()));
        }
    }

    /// A replica ended by itself or could not start: it is started again in its place, after a pause.
    pub(crate) fn failed(&mut self, id: &ReplicaId, failure: Failure, now: Timestamp) {
        let reset_after = self.settings.backoff_reset_after;
        let Some(replica) = self.replicas.get(id) else { return };
        // A report of the failure that is being waited for already.
        if matches!(replica.state, ReplicaState::BackOff { .. }) {
            return;
        }
        let ran = matches!(replica.state, ReplicaState::NotReady | ReplicaState::Ready);
        let ran_long = ran && replica.started.is_some_and(|started| now.since(started) >= reset_after);
        let failures = if ran_long { 1 } else { replica.failures + 1 };
        let until = now + backoff::restart_pause(failures, failure.reason, &self.settings);
        self.plan.warning(Subject::Replica(id.clone()), "Failed", format!("Error: {}", failure.message));
        if failures > 1 {
            let message = format!("Back-off restarting failed container in pod {}", id.0.name);
            self.plan.warning(Subject::Replica(id.clone()), "BackOff", message);
        }
        self.change(id, |replica| {
            replica.state = ReplicaState::BackOff { until };
            replica.failures = failures;
            replica.answered = true;
            replica.ready_since = None;
            replica.last_failure = Some((failure, now));
        });
        self.timers.set(until, Timer::Restart(id.clone()));
    }

    fn leftover_ended(&mut self, worker: &WorkerName, id: &ReplicaId) {
        let Some(holder) = self.workers.get_mut(worker) else { return };
        if holder.clear_leftover(id) {
            self.touch_worker(worker);
            self.room.freed.insert(worker.clone());
        }
    }
}
