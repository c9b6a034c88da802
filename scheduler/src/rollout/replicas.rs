use api::{ObjectKey, ReplicaId, Timestamp};

use super::{bounds, victims};
use crate::{Action, ReplicaState, Scheduler, Subject, state::Replica, timers::Timer};

impl Scheduler {
    /// Brings a revision to its wanted number of replicas.
    pub(crate) fn reconcile_replicas(&mut self, key: &ObjectKey, now: Timestamp) {
        if !self.settled {
            return;
        }
        self.request_image(key, now);
        let Some(revision) = self.revisions.get(key) else { return };
        let (staying, wanted) = (revision.staying(), revision.spec.replicas);
        for _ in staying..wanted {
            self.create_replica(key, now);
        }
        self.stop_leaving(key, now);
        if staying > wanted {
            self.stop_surplus(key, self.spare_available(key), now);
        }
    }

    /// Stops what a revision of a Deployment that was scaled has beyond its number. Its revisions have shared the new number
    /// by their sizes, so fewer may be left available than a rollout would keep, but not none.
    pub(crate) fn stop_beyond_number(&mut self, owner: &ObjectKey, key: &ObjectKey, now: Timestamp) {
        let Some(deployment) = self.deployments.get(owner) else { return };
        let revisions = deployment.revisions.iter().map(|key| &self.revisions[key]);
        let (available, within) = revisions.fold((0, 0), |(available, within), revision| {
            (available + revision.available, within + revision.available.min(revision.spec.replicas))
        });
        let least = bounds(deployment.spec.strategy, deployment.wanted()).min_available.min(within.max(1));
        self.stop_surplus(key, u32::saturating_sub(available, least), now);
    }

    /// Stops those that a revision has too many, at most `budget` of which are available.
    fn stop_surplus(&mut self, key: &ObjectKey, budget: u32, now: Timestamp) {
        let Some(revision) = self.revisions.get(key) else { return };
        let surplus = revision.staying().saturating_sub(revision.spec.replicas);
        let members = revision.live.difference(&revision.leaving).filter_map(|id| self.replicas.get(id));
        for id in victims::choose(members, surplus, budget) {
            self.delete(key, &id, now);
        }
    }

    /// Stops replicas that leave their workers, as far as others are ready in their places: those that serve nothing first.
    /// Of workers that end, also where there is nowhere to move to: they would only serve until nobody waits any more.
    fn stop_leaving(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(revision) = self.revisions.get(key) else { return };
        if !revision.leaving.is_empty() && !self.has_elsewhere() {
            let ends = |id: &&ReplicaId| {
                let worker = self.replicas.get(*id).and_then(|replica| self.workers.get(replica.worker.as_ref()?));
                worker.is_some_and(|worker| worker.leaving)
            };
            let ending: Vec<ReplicaId> = revision.leaving.iter().filter(ends).cloned().collect();
            return ending.iter().for_each(|id| self.delete(key, id, now));
        }
        let surplus = revision.surplus_leaving();
        let leaving = revision.leaving.iter().filter_map(|id| self.replicas.get(id));
        for id in victims::choose(leaving, surplus, self.spare_available(key)) {
            self.delete(key, &id, now);
        }
    }

    fn delete(&mut self, key: &ObjectKey, id: &ReplicaId, now: Timestamp) {
        let message = format!("Deleted pod: {}", id.0.name);
        self.plan.normal(Subject::Revision(key.clone()), "SuccessfulDelete", message);
        self.stop_replica(id, now);
    }

    /// How many available replicas may be stopped without going below what must stay.
    fn spare_available(&self, key: &ObjectKey) -> u32 {
        let revision = &self.revisions[key];
        let Some(owner) = revision.spec.deployment.as_ref().and_then(|owner| self.deployments.get(owner)) else {
            return revision.available.saturating_sub(revision.spec.replicas);
        };
        let available: u32 = owner.revisions.iter().map(|key| self.revisions[key].available).sum();
        available.saturating_sub(bounds(owner.spec.strategy, owner.wanted()).min_available)
    }

    fn create_replica(&mut self, key: &ObjectKey, now: Timestamp) {
        let id = self.names.replica(key, &self.replicas);
        let Some(revision) = self.revisions.get(key) else { return };
        let mut replica = Replica::new(id.clone(), revision, now);
        if revision.spec.digest.is_none() {
            let failure = revision.image.failure.clone();
            let why = failure.as_ref().map_or("waiting for its image", |(failure, _)| &failure.message);
            replica.state = ReplicaState::Unplaced(why.to_owned());
            replica.last_failure = failure;
        }
        self.plan.normal(Subject::Revision(key.clone()), "SuccessfulCreate", format!("Created pod: {}", id.0.name));
        self.add_replica(replica);
    }

    /// Stops a replica: it is no endpoint from now on, and its place may be taken. One that never had a worker just goes.
    pub(crate) fn stop_replica(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id).filter(|replica| !replica.is_stopping()) else { return };
        let Some(worker) = replica.worker.clone() else { return self.remove_replica(id) };
        self.change(id, |replica| {
            replica.state = ReplicaState::Stopping;
            // Not what it goes back to when its worker is heard of again.
            replica.before_unknown = None;
            replica.ready_since = None;
        });
        self.send_stop(&worker, id, now);
    }

    /// Tells a worker to stop a replica, and again if it does not answer.
    pub(crate) fn send_stop(&mut self, worker: &api::WorkerName, id: &ReplicaId, now: Timestamp) {
        let grace = self.replicas.get(id).map_or(LEFTOVER_GRACE, |replica| replica.template.grace);
        self.plan.command(Action::Stop { worker: worker.clone(), id: id.clone(), grace });
        let again = now + grace + self.settings.stop_answer_within;
        self.timers.set(again, Timer::StopUnanswered(worker.clone(), id.clone()));
    }
}

/// For the requests of a replica that is nobody's any more, and whose own grace is not known. As Kubernetes' default.
const LEFTOVER_GRACE: std::time::Duration = std::time::Duration::from_secs(30);
