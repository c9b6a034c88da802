use api::{ObjectKey, Timestamp};

use super::conditions::{self, Observed};
use crate::{Action, ConditionReason, DeploymentStatus, Scheduler, rollout::bounds, timers::Timer};

impl Scheduler {
    /// Tells what this step has changed.
    pub(crate) fn publish(&mut self, now: Timestamp) {
        for key in std::mem::take(&mut self.unsaved) {
            if let Some(revision) = self.revisions.get(&key) {
                self.plan.revision(Action::PutRevision(revision.spec.clone()));
            }
        }
        for id in std::mem::take(&mut self.dirty_replicas) {
            self.plan.replica(match self.replicas.get(&id) {
                Some(replica) => Action::PublishReplica(replica.view()),
                None => Action::RemoveReplica(id),
            });
        }
        for name in std::mem::take(&mut self.dirty_workers) {
            if let Some(worker) = self.workers.get(&name) {
                self.plan.report(Action::PublishWorker(worker.view()));
            }
        }
        if !self.settled {
            return;
        }
        for key in std::mem::take(&mut self.restated) {
            self.publish_revision(key);
        }
        for key in std::mem::take(&mut self.restated_deployments) {
            self.publish_deployment(key, now);
        }
    }

    fn publish_revision(&mut self, key: ObjectKey) {
        let Some(revision) = self.revisions.get_mut(&key) else { return };
        let status = revision.status();
        if revision.told.as_ref() != Some(&status) {
            revision.told = Some(status.clone());
            self.plan.report(Action::RevisionStatus { key, status });
        }
    }

    fn publish_deployment(&mut self, key: ObjectKey, now: Timestamp) {
        let Some(deployment) = self.deployments.get(&key) else { return };
        let Some(current) = deployment.current.as_ref().and_then(|current| self.revisions.get(current)) else { return };
        let mut status = DeploymentStatus {
            observed_generation: deployment.spec.generation,
            revision: current.spec.number,
            replicas: 0,
            updated: current.live_count(),
            ready: 0,
            available: 0,
            conditions: Vec::new(),
        };
        for revision in deployment.revisions.iter().filter_map(|key| self.revisions.get(key)) {
            status.replicas += revision.live_count();
            status.ready += revision.ready;
            status.available += revision.available;
        }
        let progressed = conditions::has_progressed(deployment.told.as_ref(), &status);
        let since = if progressed { now } else { deployment.progressed };
        let observed = Observed {
            deployment: &deployment.spec,
            wanted: deployment.wanted(),
            revision: &current.spec.key.name,
            min_available: match deployment.spec.strategy {
                crate::Strategy::Recreate => deployment.wanted(),
                rolling => bounds(rolling, deployment.wanted()).min_available,
            },
            progressed,
            progressed_at: since,
            trouble: self.trouble(&current.spec.key),
        };
        let told = deployment.told.as_ref();
        status.conditions = conditions::conditions(&observed, &status, told, now);
        let waits = conditions::is_progressing(&status) && !deployment.spec.paused;
        if waits {
            self.timers.set(since + deployment.spec.progress_deadline, Timer::Progress(key.clone()));
        }
        let Some(deployment) = self.deployments.get_mut(&key) else { return };
        deployment.progressed = since;
        if deployment.told.as_ref() != Some(&status) {
            deployment.told = Some(status.clone());
            self.plan.report(Action::DeploymentStatus { key, status });
        }
    }

    /// Why replicas of a revision cannot be had, if that is so: a reason and a message.
    fn trouble(&self, key: &ObjectKey) -> Option<(ConditionReason, String)> {
        let revision = self.revisions.get(key)?;
        // What nobody wants to run, or runs after all, is no trouble.
        let stands_by = self.stands_by(key);
        let waits = (revision.spec.replicas > 0 || stands_by) && revision.spec.digest.is_none();
        if let Some((failure, _)) = revision.image.failure.as_ref().filter(|_| waits) {
            return Some((ConditionReason::Failed(failure.reason), failure.message.clone()));
        }
        if let Some(failed) = revision.standby_failure.as_ref().filter(|_| stands_by) {
            return Some((ConditionReason::Failed(failed.failure.reason), failed.failure.message.clone()));
        }
        let replica = revision.troubled.first().and_then(|id| self.replicas.get(id))?;
        match (&replica.state, &replica.last_failure) {
            (crate::ReplicaState::BackOff { .. }, Some((failure, _))) => {
                Some((ConditionReason::Failed(failure.reason), failure.message.clone()))
            }
            (crate::ReplicaState::Unplaced(why), _) if revision.spec.digest.is_some() => {
                Some((ConditionReason::FailedScheduling, why.clone()))
            }
            _ => None,
        }
    }
}
