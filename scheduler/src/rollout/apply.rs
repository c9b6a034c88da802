use api::{ObjectKey, Timestamp};

use super::{
    bounds,
    proportion::{self, Target},
    rolling::{self, Counts},
};
use crate::{Scheduler, Strategy, Subject, state::ScaledFor};

impl Scheduler {
    /// Brings a Deployment's revisions to what they are to be next, and their replicas with them.
    pub(crate) fn reconcile_deployment(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(current) = self.ensure_current_revision(key, now) else { return };
        if !self.settled {
            return;
        }
        self.begin_scaling(key, now);
        self.write_number(key);
        let rescaled = self.scale_revisions(key, &current);
        for revision in self.revisions_by_age(key) {
            if rescaled {
                self.stop_beyond_number(key, &revision, now);
            }
            self.reconcile_replicas(&revision, now);
        }
        self.reconcile_standby(key, now);
        self.forget_history(key, &current);
    }

    /// Gives each revision its next number. Answers whether that was because the wanted number has changed.
    fn scale_revisions(&mut self, key: &ObjectKey, current: &ObjectKey) -> bool {
        let Some(deployment) = self.deployments.get_mut(key) else { return false };
        let (strategy, paused) = (deployment.spec.strategy, deployment.spec.paused);
        let desired = deployment.wanted();
        let surge = bounds(strategy, desired).surge;
        let before = deployment.scaled_for;
        let rescaled = before.is_some_and(|before| before.desired != desired);
        let target = Target { desired, surge, largest_before: before.map(|before| before.largest) };
        if rescaled || before.is_none() {
            deployment.scaled_for = Some(ScaledFor { desired, largest: target.largest() });
        }
        let old = self.old_revisions(key, current);
        if rescaled || paused {
            self.follow_number(key, target, current, &old);
        }
        if paused {
            return rescaled;
        }
        if let Some(current) = self.revisions.get_mut(current) {
            current.held_back = false;
        }
        match strategy {
            Strategy::RollingUpdate { .. } => self.roll(key, current, &old),
            Strategy::Recreate => self.recreate(key, current, &old),
        }
        rescaled
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
        if self.have_ended(old) {
            self.scale(key, current, self.deployments[key].wanted());
        }
    }

    fn have_ended(&self, revisions: &[ObjectKey]) -> bool {
        revisions.iter().map(|key| &self.revisions[key]).all(|it| it.live.is_empty() && it.stopping.is_empty())
    }

    /// A Deployment in the middle of a rollout was scaled, or is paused: the revisions that it has follow its number, as
    /// Kubernetes' Deployment controller has them follow. What serves goes on serving.
    fn follow_number(&mut self, key: &ObjectKey, target: Target, current: &ObjectKey, old: &[ObjectKey]) {
        let spec = &self.deployments[key].spec;
        let (strategy, paused) = (spec.strategy, spec.paused);
        let active: Vec<ObjectKey> =
            self.revisions_by_age(key).into_iter().filter(|key| self.wanted(key) > 0).collect();
        match active.as_slice() {
            [] if paused => self.begin_paused(key, target.desired, current, old),
            // A rollout begins with the first of these.
            [] => {}
            [only] if paused || only == current || strategy != Strategy::Recreate => {
                self.scale(key, only, target.desired);
            }
            _ if self.is_saturated(current, target.desired) => {
                for revision in old {
                    self.scale(key, revision, 0);
                }
            }
            [_, _, ..] if strategy != Strategy::Recreate => {
                let sizes: Vec<Counts> = active.iter().map(|revision| self.counts(revision)).collect();
                for (revision, wanted) in active.iter().zip(proportion::share(target, &sizes)) {
                    self.scale(key, revision, wanted);
                }
            }
            _ => {}
        }
    }

    /// Scales up a paused Deployment that has nothing: what ran last, since its next revision is not rolled out yet.
    fn begin_paused(&mut self, key: &ObjectKey, desired: u32, current: &ObjectKey, old: &[ObjectKey]) {
        let rolled_out = [current].into_iter().chain(old.iter().rev()).find(|key| !self.revisions[*key].held_back);
        let Some(revision) = rolled_out.cloned() else { return };
        let recreates = self.deployments[key].spec.strategy == Strategy::Recreate;
        if !recreates || self.have_ended(old) {
            self.scale(key, &revision, desired);
        }
    }

    fn is_saturated(&self, current: &ObjectKey, desired: u32) -> bool {
        self.counts(current) == Counts { wanted: desired, available: desired }
    }

    /// Sets how many replicas a revision is to have.
    pub(crate) fn scale(&mut self, deployment: &ObjectKey, key: &ObjectKey, wanted: u32) {
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

    pub(crate) fn wanted(&self, revision: &ObjectKey) -> u32 {
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
