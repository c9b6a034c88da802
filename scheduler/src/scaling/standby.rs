//! Standbys: for a Deployment that wants no replicas, one place where its first request starts one at once.

use api::{
    ObjectKey, ReplicaId, Timestamp, WorkerName,
    replica::{Failure, ReplicaPhase},
};

use crate::{
    Action, ReplicaState, Scheduler, Strategy, Subject, placement, recovery::backoff, state::Replica, timers::Timer,
};

/// Why a revision's standby could not be made ready, and when it is tried again.
#[derive(Debug, Clone)]
pub(crate) struct StandbyFailure {
    pub(crate) failure: Failure,
    failures: u32,
    retry_at: Timestamp,
}

impl Scheduler {
    /// Keeps a standby of the current revision while no replica is wanted, on a worker that is there to start it.
    pub(crate) fn reconcile_standby(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(deployment) = self.deployments.get(key) else { return };
        let Some(current) = deployment.current.clone() else { return };
        let (wanted, recreates) = (deployment.wants_standby(), deployment.spec.strategy == Strategy::Recreate);
        let held: Vec<ReplicaId> =
            deployment.revisions.iter().flat_map(|revision| &self.revisions[revision].standbys).cloned().collect();
        if !wanted {
            return held.iter().for_each(|id| self.stop_replica(id, now));
        }
        let (mut good, mut others): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|id| self.is_well_placed(id, &current));
        others.extend(good.drain(1.min(good.len())..));
        let is_ready = |id: &ReplicaId| self.replicas[id].state == ReplicaState::Standby { ready: true };
        // Until the new one can be started, the old ones are.
        let replaced = good.first().is_some_and(is_ready) || recreates;
        if good.is_empty() {
            self.place_standby(key, &current, now);
        }
        if replaced {
            others.iter().for_each(|id| self.stop_replica(id, now));
        }
    }

    /// Whether a revision is to have a standby.
    pub(crate) fn stands_by(&self, revision: &ObjectKey) -> bool {
        let owner = self.revisions.get(revision).and_then(|revision| revision.spec.deployment.as_ref());
        let owner = owner.and_then(|owner| self.deployments.get(owner));
        owner.is_some_and(|owner| owner.wants_standby() && owner.current.as_ref() == Some(revision))
    }

    fn is_well_placed(&self, id: &ReplicaId, current: &ObjectKey) -> bool {
        let replica = &self.replicas[id];
        let worker = replica.worker.as_ref().and_then(|name| self.workers.get(name));
        replica.revision == *current && worker.is_some_and(|worker| placement::suits_standby(&replica.template, worker))
    }

    fn place_standby(&mut self, owner: &ObjectKey, key: &ObjectKey, now: Timestamp) {
        let Some(revision) = self.revisions.get(key) else { return };
        let Some(digest) = revision.spec.digest.clone() else { return };
        if revision.standby_failure.as_ref().is_some_and(|failure| now < failure.retry_at) {
            return;
        }
        let template = revision.spec.template.clone();
        let Some(worker) = placement::place_standby(&template, &digest, &self.workers, &self.settings, &mut self.rng)
        else {
            self.homeless.insert(owner.clone());
            return;
        };
        let id = self.names.replica(key, &self.replicas);
        let replica = Replica::standby(id.clone(), &self.revisions[key], worker, now);
        self.add_replica(replica);
        self.send_standby(&id, now);
    }

    pub(crate) fn send_standby(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id) else { return };
        let (Some(worker), Some(digest)) = (replica.worker.clone(), replica.digest.clone()) else { return };
        self.plan.command(Action::Standby {
            worker,
            id: id.clone(),
            revision: replica.revision.clone(),
            template: replica.template.clone(),
            digest,
            created: replica.created,
        });
        self.timers.set(now + self.settings.start_answer_within, Timer::StartUnanswered(id.clone()));
    }

    /// A worker says how far a standby is.
    pub(crate) fn standby_phase(&mut self, id: &ReplicaId, phase: ReplicaPhase, now: Timestamp) {
        match phase {
            ReplicaPhase::Standby => {
                self.change(id, |replica| {
                    replica.answered = true;
                    replica.state = ReplicaState::Standby { ready: true };
                });
                let revision = self.replicas[id].revision.clone();
                if let Some(revision) = self.revisions.get_mut(&revision) {
                    revision.standby_failure = None;
                }
            }
            // It is compiled.
            ReplicaPhase::Starting => self.change(id, |replica| replica.answered = true),
            ReplicaPhase::NotReady | ReplicaPhase::Ready => self.activated(id, phase, now),
            ReplicaPhase::Draining | ReplicaPhase::Stopped => self.remove_replica(id),
            ReplicaPhase::Failed(failure) => self.standby_failed(id, failure, now),
        }
    }

    /// A request has started a standby: it is a replica from now on, and its Deployment wants one.
    fn activated(&mut self, id: &ReplicaId, phase: ReplicaPhase, now: Timestamp) {
        self.change(id, |replica| {
            replica.reserved = true;
            replica.answered = true;
            replica.state = ReplicaState::Starting;
        });
        let revision = self.replicas[id].revision.clone();
        if let Some(owner) = self.revisions.get(&revision).and_then(|revision| revision.spec.deployment.clone()) {
            // An old revision's, while the new one is made ready, is wanted for as long as it has to serve.
            let live = self.revisions[&revision].live_count();
            if self.wanted(&revision) < live
                && self.deployments.get(&owner).is_some_and(|it| it.current.as_ref() != Some(&revision))
            {
                self.scale(&owner, &revision, live);
            }
            self.wake(&owner, now);
        }
        self.owned_phase(id, phase, now);
        // Its worker started it where there was room; meanwhile that may have been given to another.
        let worker = self.replicas.get(id).and_then(|replica| replica.worker.clone());
        if worker.and_then(|name| self.workers.get(&name)).is_some_and(crate::state::Worker::is_overfull) {
            self.evict(id);
        }
    }

    /// A standby cannot be made ready: it is tried again after a pause, and meanwhile there is none.
    pub(crate) fn standby_failed(&mut self, id: &ReplicaId, failure: Failure, now: Timestamp) {
        let Some(key) = self.replicas.get(id).map(|replica| replica.revision.clone()) else { return };
        self.remove_replica(id);
        let Some(revision) = self.revisions.get_mut(&key) else { return };
        let failures = revision.standby_failure.as_ref().map_or(0, |earlier| earlier.failures) + 1;
        let retry_at = now + backoff::restart_pause(failures, failure.reason, &self.settings);
        let message = format!("Error: {}", failure.message);
        let owner = revision.spec.deployment.clone();
        revision.standby_failure = Some(StandbyFailure { failure, failures, retry_at });
        self.plan.warning(Subject::Revision(key), "Failed", message);
        if let Some(owner) = owner {
            self.timers.set(retry_at, Timer::Standby(owner));
        }
    }

    /// Something has changed about a worker: what stands by there may have to go elsewhere.
    pub(crate) fn touch_standbys_of(&mut self, name: &WorkerName) {
        let Some(worker) = self.workers.get(name) else { return };
        let standbys: Vec<ReplicaId> = worker.standbys.iter().cloned().collect();
        for id in standbys {
            if let Some(revision) = self.replicas.get(&id).map(|replica| replica.revision.clone()) {
                self.touch_revision(&revision);
            }
        }
    }

    /// Workers came or changed: standbys that found no place are tried again.
    pub(crate) fn house_standbys(&mut self) {
        for owner in std::mem::take(&mut self.homeless) {
            self.touch_deployment(&owner);
        }
    }
}
