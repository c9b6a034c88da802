use api::{ObjectKey, ReplicaId, Timestamp, WorkerName, replica::FailureReason};

use super::backoff;
use crate::{ReplicaState, Scheduler, state::Replica, timers::Timer};

/// A restart whose worker is away is looked at again after this time; the worker's return or loss decides it earlier.
const AWAY_RECHECK: std::time::Duration = std::time::Duration::from_secs(1);

impl Scheduler {
    pub(crate) fn fire_due_timers(&mut self, now: Timestamp) {
        while let Some(timer) = self.timers.next_due(now) {
            match timer {
                Timer::Settled => self.settle(),
                Timer::Worker(name) => self.check_worker(&name, now),
                Timer::Restart(id) => self.restart(&id, now),
                Timer::StartUnanswered(id) => self.repeat_start(&id, now),
                Timer::StopUnanswered(worker, id) => self.repeat_stop(&worker, &id, now),
                Timer::Available(id) => self.check_available(&id, now),
                Timer::Image(key) => self.touch_revision(&key),
                Timer::Scale(key) => self.scale_when_due(&key, now),
                Timer::Progress(key) | Timer::Standby(key) => self.touch_deployment(&key),
            }
        }
    }

    fn restart(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id) else { return };
        let ReplicaState::BackOff { until } = replica.state else { return };
        if now < until {
            return;
        }
        if !self.settled || !self.is_reachable(replica.worker.as_ref()) {
            self.timers.set(now + AWAY_RECHECK, Timer::Restart(id.clone()));
            return;
        }
        // What could not be begun is begun, not restarted.
        let ran = replica.last_failure.as_ref().is_none_or(|(failure, _)| backoff::had_begun(failure.reason));
        self.change(id, |replica| replica.restarts += u32::from(ran));
        self.start(id, now);
    }

    /// A ConfigMap or a Secret was written: what waits in its namespace for one is tried at once.
    pub(crate) fn config_stored(&mut self, namespace: &str, now: Timestamp) {
        let lacks = |replica: &Replica| {
            let failure = replica.last_failure.as_ref().map(|(failure, _)| failure.reason);
            matches!(replica.state, ReplicaState::BackOff { .. })
                && failure == Some(FailureReason::CreateContainerConfigError)
        };
        let first = ReplicaId(ObjectKey::new(namespace, ""));
        let here = self.replicas.range(first..).take_while(|(id, _)| &*id.0.namespace == namespace);
        let waiting: Vec<_> = here.filter(|(_, replica)| lacks(replica)).map(|(id, _)| id.clone()).collect();
        for id in waiting {
            self.change(&id, |replica| replica.state = ReplicaState::BackOff { until: now });
            self.timers.set(now, Timer::Restart(id));
        }
    }

    fn repeat_start(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id) else { return };
        let preparing = replica.state == ReplicaState::Standby { ready: false };
        if !preparing && (replica.state != ReplicaState::Starting || replica.answered) {
            return;
        }
        if self.settled && self.is_reachable(replica.worker.as_ref()) {
            if preparing { self.send_standby(id, now) } else { self.send_start(id, now) }
        } else {
            self.timers.set(now + AWAY_RECHECK, Timer::StartUnanswered(id.clone()));
        }
    }

    pub(crate) fn repeat_stop(&mut self, worker: &WorkerName, id: &ReplicaId, now: Timestamp) {
        let stopping = self
            .replicas
            .get(id)
            .is_some_and(|replica| replica.is_stopping() && replica.worker.as_ref() == Some(worker));
        let leftover = self.workers.get(worker).is_some_and(|worker| worker.leftovers.contains_key(id));
        // A worker that comes back says what it runs, and is told then.
        if !(stopping || leftover) || !self.is_reachable(Some(worker)) {
            return;
        }
        if self.settled {
            self.send_stop(worker, id, now);
        } else {
            self.timers.set(now + AWAY_RECHECK, Timer::StopUnanswered(worker.clone(), id.clone()));
        }
    }

    fn is_reachable(&self, worker: Option<&WorkerName>) -> bool {
        worker.and_then(|name| self.workers.get(name)).is_some_and(|worker| worker.connected)
    }

    /// Workers have reported, or had their time: from now on replicas are started and stopped.
    pub(crate) fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let all: Vec<ObjectKey> = self.revisions.keys().cloned().collect();
        for key in all {
            self.touch_revision(&key);
            self.room.untried.insert(key);
        }
        for key in self.deployments.keys().cloned().collect::<Vec<_>>() {
            self.touch_deployment(&key);
        }
    }
}
