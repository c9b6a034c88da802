use std::{sync::Arc, time::Duration};

use api::{ObjectKey, Timestamp, WorkerMarks, WorkerName, session::WorkerUp};

use crate::{
    Deployment, Event, ReplicaState, Revision, Scheduler, Subject,
    state::{DeploymentState, RevisionState},
    timers::Timer,
};

impl Scheduler {
    pub(crate) fn take(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Worker { .. } | Event::WorkerDisconnected(_) | Event::WorkerDied(_) if !self.loaded => {
                self.early.push(event)
            }
            Event::Deployment(deployment) => self.deployment(deployment, now),
            Event::DeploymentDeleted(key) => self.deployment_deleted(&key, now),
            Event::DeploymentOrphaned(key) => self.deployment_orphaned(&key),
            Event::Revision(revision) => self.revision(revision),
            Event::RevisionDeleted(key) => self.revision_deleted(&key, now),
            Event::RevisionOverwritten(key) => {
                if self.revisions.get(&key).is_some_and(|revision| revision.spec.deployment.is_some()) {
                    self.unsaved.insert(key);
                }
            }
            Event::RevisionReleased(key) => self.revision_released(&key, now),
            Event::Loaded => self.loaded(now),
            Event::ImageResolved { revision, result } => self.image_resolved(&revision, result, now),
            Event::Worker { worker, message } => self.worker(&worker, message, now),
            Event::WorkerDisconnected(worker) => self.disconnected(&worker, now),
            Event::WorkerDied(worker) => self.died(&worker, now),
            Event::KnownWorker { worker, cordoned } => {
                self.know(&worker, now);
                self.cordon(worker, cordoned);
            }
            Event::Cordon { worker, cordoned } => self.cordon(worker, cordoned),
            Event::Marked { worker, marks } => self.mark(worker, marks),
            Event::Reach { worker, unavailable } => self.reach(&worker, unavailable),
            Event::Forget(worker) => self.forget(&worker, now),
            Event::StartFailed { id, failure } => {
                // Whatever else it is by now, that start is over.
                match self.replicas.get(&id) {
                    Some(replica) if replica.state == ReplicaState::Starting => self.failed(&id, failure, now),
                    Some(replica) if replica.is_standby() => self.standby_failed(&id, failure, now),
                    _ => {}
                }
            }
            Event::ConfigStored(namespace) => self.config_stored(&namespace, now),
            Event::Autoscaler(spec) => self.autoscaler(spec, now),
            Event::AutoscalerDeleted(key) => self.autoscaler_deleted(&key),
            Event::Sampled { gateway, samples } => self.sampled(gateway, samples, now),
            Event::Waiting { gateway, service, deployment, queued, in_flight } => {
                self.waiting(gateway, (&service, &deployment), (queued, in_flight), now);
            }
            Event::GatewayDisconnected(gateway) => self.gateway_disconnected(gateway, now),
            Event::Evict(id) => self.evict(&id),
            Event::DeleteReplica(id) => self.stop_replica(&id, now),
            Event::Tick => self.timers.woken(),
        }
    }

    fn deployment(&mut self, spec: Deployment, now: Timestamp) {
        let key = spec.key.clone();
        match self.deployments.get_mut(&key) {
            Some(deployment) => {
                // What was paused, or is wanted anew, has its whole time again.
                deployment.progressed = now;
                if deployment.spec.replicas != spec.replicas {
                    deployment.number_written(spec.replicas, spec.autoscaled, now);
                }
                deployment.spec = spec;
                self.look_again(&key, now);
            }
            None => {
                let mut deployment = DeploymentState::new(spec, now);
                let owned = self.revisions.values().filter(|revision| revision.spec.deployment.as_ref() == Some(&key));
                deployment.revisions = owned.map(|revision| revision.spec.key.clone()).collect();
                self.deployments.insert(key.clone(), Box::new(deployment));
                self.attach_autoscaler(&key, now);
            }
        }
        self.touch_deployment(&key);
    }

    fn deployment_deleted(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(deployment) = self.deployments.remove(key) else { return };
        for revision in deployment.revisions {
            self.remove_revision(&revision, now);
            self.plan.delete_revision(revision);
        }
        self.dirty_deployments.remove(key);
        self.restated_deployments.remove(key);
    }

    fn deployment_orphaned(&mut self, key: &ObjectKey) {
        let Some(deployment) = self.deployments.remove(key) else { return };
        for key in deployment.revisions {
            if let Some(revision) = self.revisions.get_mut(&key) {
                revision.spec.deployment = None;
                self.touch_revision(&key);
            }
        }
        self.dirty_deployments.remove(key);
        self.restated_deployments.remove(key);
    }

    fn revision(&mut self, spec: Revision) {
        let key = spec.key.clone();
        match self.revisions.get_mut(&key) {
            // After the start, a Deployment's revisions are decided here; what is stored follows.
            Some(known) if known.spec.deployment.is_some() && self.loaded => return,
            Some(known) => {
                let digest = known.spec.digest.clone().filter(|_| known.spec.template.image == spec.template.image);
                known.spec = Revision { digest: spec.digest.clone().or(digest), ..spec };
            }
            None => {
                self.revisions.insert(key.clone(), Box::new(RevisionState::new(spec)));
            }
        }
        let owner = self.revisions[&key].spec.deployment.clone();
        if let Some(owner) = owner.and_then(|owner| self.deployments.get_mut(&owner)) {
            owner.revisions.insert(key.clone());
        }
        self.restated.insert(key.clone());
        self.touch_revision(&key);
    }

    fn revision_deleted(&mut self, key: &ObjectKey, now: Timestamp) {
        let owner = self.revisions.get(key).and_then(|revision| revision.spec.deployment.clone());
        self.remove_revision(key, now);
        if let Some(owner) = owner {
            self.touch_deployment(&owner);
        }
    }

    /// As if the replicas had been left by the old one and adopted by the new one at once.
    fn revision_released(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(revision) = self.revisions.get_mut(key).filter(|revision| revision.spec.deployment.is_some()) else {
            return;
        };
        // Its identity follows from when it was made, in whole seconds.
        revision.spec.created = now.max(revision.spec.created + Duration::from_secs(1));
        revision.told = None;
        let replicas: Vec<_> = revision.live.iter().chain(&revision.stopping).cloned().collect();
        self.dirty_replicas.extend(replicas);
        self.unsaved.insert(key.clone());
        self.restated.insert(key.clone());
        self.touch_revision(key);
    }

    fn loaded(&mut self, now: Timestamp) {
        self.loaded = true;
        let orphans: Vec<ObjectKey> = self
            .revisions
            .values()
            .filter(|revision| {
                revision.spec.deployment.as_ref().is_some_and(|owner| !self.deployments.contains_key(owner))
            })
            .map(|revision| revision.spec.key.clone())
            .collect();
        for orphan in orphans {
            self.remove_revision(&orphan, now);
            self.plan.delete_revision(orphan);
        }
        // A Deployment whose first revision was not written in time may have replicas as well.
        let may_run =
            !self.deployments.is_empty() || self.revisions.values().any(|revision| revision.spec.replicas > 0);
        let patience = match (may_run, self.expected.is_empty()) {
            (false, _) => Duration::ZERO,
            (true, true) => self.settings.settle_unknown,
            (true, false) => self.settings.settle,
        };
        self.timers.set(now + patience, Timer::Settled);
        for key in self.deployments.keys().cloned().collect::<Vec<_>>() {
            // Before workers are listened to, so that what they run finds its revision.
            self.ensure_current_revision(&key, now);
            self.touch_deployment(&key);
        }
        for event in std::mem::take(&mut self.early) {
            self.take(event, now);
        }
    }

    fn worker(&mut self, name: &WorkerName, message: WorkerUp, now: Timestamp) {
        if let WorkerUp::Hello(hello) = message {
            return self.hello(hello, now);
        }
        self.heard(name, now);
        match message {
            WorkerUp::Phase { id, phase } => self.phase(name, &id, phase, now),
            WorkerUp::Traps { id, count, last } => {
                if self.replicas.contains_key(&id) {
                    let message = format!("{count} request{} trapped: {last}", if count == 1 { "" } else { "s" });
                    self.plan.warning(Subject::Replica(id), "Trapped", message);
                }
            }
            WorkerUp::Cached { digest } => {
                if let Some(worker) = self.workers.get_mut(name) {
                    worker.cached.insert(digest);
                }
            }
            WorkerUp::Leaving => self.leave(name),
            WorkerUp::Slots { id, slots } => self.slots(name, &id, slots),
            WorkerUp::Usage(usage) => self.used_cpu(usage, now),
            WorkerUp::Hello(_) | WorkerUp::Log { .. } | WorkerUp::Heartbeat => {}
        }
    }

    fn reach(&mut self, name: &WorkerName, unavailable: Option<Arc<str>>) {
        match unavailable.clone() {
            Some(why) => self.unreached.insert(name.clone(), why),
            None => self.unreached.remove(name),
        };
        let Some(worker) = self.workers.get_mut(name).filter(|worker| worker.unreached != unavailable) else { return };
        worker.unreached = unavailable;
        self.room.everywhere = true;
        self.touch_worker(name);
    }

    fn mark(&mut self, name: WorkerName, marks: WorkerMarks) {
        let Some(worker) = self.workers.get_mut(&name).filter(|worker| worker.marks != marks) else {
            self.marks.insert(name, marks);
            return;
        };
        worker.mark(marks.clone());
        self.marks.insert(name.clone(), marks);
        self.room.everywhere = true;
        self.touch_worker(&name);
        self.evict_intolerant(&name);
    }

    fn cordon(&mut self, name: WorkerName, cordoned: bool) {
        let changed = if cordoned { self.cordoned.insert(name.clone()) } else { self.cordoned.remove(&name) };
        let Some(worker) = self.workers.get_mut(&name).filter(|_| changed) else { return };
        worker.cordoned = cordoned;
        self.room.everywhere = true;
        self.touch_worker(&name);
        self.touch_standbys_of(&name);
    }
}
