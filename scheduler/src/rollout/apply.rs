use api::{ObjectKey, Timestamp};

use super::{
    bounds,
    rolling::{self, Counts},
};
use crate::{Scheduler, Strategy, Subject};

impl Scheduler {
    /// Brings a Deployment's revisions to what they are to be next, and their replicas with them.
    pub(crate) fn reconcile_deployment(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(current) = self.ensure_current_revision(key, now) else { return };
        if !self.settled {
            return;
        }
        self.begin_scaling(key, now);
        self.write_number(key);
        self.scale_revisions(key, &current);
        for revision in self.revisions_by_age(key) {
            self.reconcile_replicas(&revision, now);
        }
        self.reconcile_standby(key, now);
        self.forget_history(key, &current);
    }

    fn scale_revisions(&mut self, key: &ObjectKey, current: &ObjectKey) {
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        let desired = deployment.wanted();
        let rescaled = deployment.scaled_for.replace(desired).is_some_and(|before| before != desired);
        let (strategy, paused) = (deployment.spec.strategy, deployment.spec.paused);
        let old = self.old_revisions(key, current);
        if rescaled || paused {
            self.scale_in_proportion(key, current, &old);
        }
        if paused {
            return;
        }
        match strategy {
            Strategy::RollingUpdate { .. } => self.roll(key, current, &old),
            Strategy::Recreate => self.recreate(key, current, &old),
        }
    }

    fn roll(&mut self, key: &ObjectKey, current: &ObjectKey, old: &[ObjectKey]) {
        let deployment = &self.deployments[key];
        let desired = deployment.wanted();
        let bounds = bounds(deployment.spec.strategy, desired);
        let counts: Vec<Counts> = old.iter().map(|revision| self.counts(revision)).collect();
        let next = rolling::next(desired, bounds, self.counts(current), &counts);
        self.scale(key, current, next.new);
        for (revision, wanted) in old.iter().zip(next.old) {
            self.scale(key, revision, wanted);
        }
    }

    /// The new revision begins when nothing of the old ones runs any more.
    fn recreate(&mut self, key: &ObjectKey, current: &ObjectKey, old: &[ObjectKey]) {
        for revision in old {
            self.scale(key, revision, 0);
        }
        let ended = |revision: &ObjectKey| {
            let revision = &self.revisions[revision];
            revision.live.is_empty() && revision.stopping.is_empty()
        };
        if old.iter().all(ended) {
            self.scale(key, current, self.deployments[key].wanted());
        }
    }

    /// A Deployment in the middle of a rollout was scaled, or is paused: all of its revisions follow.
    fn scale_in_proportion(&mut self, key: &ObjectKey, current: &ObjectKey, old: &[ObjectKey]) {
        let deployment = &self.deployments[key];
        let (desired, paused) = (deployment.wanted(), deployment.spec.paused);
        let surge = bounds(deployment.spec.strategy, desired).surge;
        let active: Vec<ObjectKey> =
            [current].into_iter().chain(old).filter(|key| self.wanted(key) > 0).cloned().collect();
        match active.as_slice() {
            [] => self.scale(key, current, if old.is_empty() || !paused { 0 } else { desired }),
            [only] if paused || only == current => self.scale(key, only, desired),
            [_] => {}
            _ => {
                let wanted: Vec<u32> = active.iter().map(|key| self.wanted(key)).collect();
                let total: u32 = wanted.iter().sum();
                let next = if total < desired {
                    rolling::grow_in_proportion(desired, &wanted)
                } else if paused && total > desired.saturating_add(surge) {
                    shrink(&wanted, total - desired - surge)
                } else {
                    wanted
                };
                for (revision, wanted) in active.iter().zip(next) {
                    self.scale(key, revision, wanted);
                }
            }
        }
    }

    /// Sets how many replicas a revision is to have.
    fn scale(&mut self, deployment: &ObjectKey, key: &ObjectKey, wanted: u32) {
        let Some(revision) = self.revisions.get_mut(key) else { return };
        let before = std::mem::replace(&mut revision.spec.replicas, wanted);
        if before == wanted {
            return;
        }
        self.unsaved.insert(key.clone());
        let direction = if wanted > before { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {} from {before} to {wanted}", key.name);
        self.plan.normal(Subject::Deployment(deployment.clone()), "ScalingReplicaSet", message);
    }

    fn wanted(&self, revision: &ObjectKey) -> u32 {
        self.revisions[revision].spec.replicas
    }

    fn counts(&self, revision: &ObjectKey) -> Counts {
        let revision = &self.revisions[revision];
        Counts { wanted: revision.spec.replicas, available: revision.available }
    }

    fn old_revisions(&self, key: &ObjectKey, current: &ObjectKey) -> Vec<ObjectKey> {
        self.revisions_by_age(key).into_iter().filter(|revision| revision != current).collect()
    }

    /// Oldest first.
    fn revisions_by_age(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        let Some(deployment) = self.deployments.get(key) else { return Vec::new() };
        let mut keys: Vec<ObjectKey> = deployment.revisions.iter().cloned().collect();
        keys.sort_by_key(|key| self.revisions[key].spec.number);
        keys
    }
}

/// Takes `excess` away, from the old revisions (they come after the new one) first.
fn shrink(wanted: &[u32], mut excess: u32) -> Vec<u32> {
    let mut next = wanted.to_vec();
    for wanted in next.iter_mut().rev() {
        let removed = (*wanted).min(excess);
        *wanted -= removed;
        excess -= removed;
    }
    next
}
