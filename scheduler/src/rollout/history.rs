use api::ObjectKey;

use crate::Scheduler;

impl Scheduler {
    /// When a rollout is complete, deletes the oldest of the revisions that have no replicas, beyond the limit.
    pub(crate) fn forget_history(&mut self, key: &ObjectKey, current: &ObjectKey) {
        let Some(deployment) = self.deployments.get(key) else { return };
        let limit = deployment.spec.revision_history_limit as usize;
        if deployment.revisions.len() <= limit + 1 || self.revisions[current].available < deployment.wanted() {
            return;
        }
        let is_empty = |key: &&ObjectKey| {
            let revision = &self.revisions[*key];
            revision.spec.replicas == 0
                && revision.live.is_empty()
                && revision.stopping.is_empty()
                && revision.standbys.is_empty()
        };
        let mut old: Vec<ObjectKey> =
            deployment.revisions.iter().filter(|key| *key != current).filter(is_empty).cloned().collect();
        old.sort_by_key(|key| self.revisions[key].spec.number);
        let excess = old.len().saturating_sub(limit);
        for revision in old.into_iter().take(excess) {
            self.revisions.remove(&revision);
            self.unsaved.remove(&revision);
            self.restated.remove(&revision);
            self.waiting.remove(&revision);
            if let Some(deployment) = self.deployments.get_mut(key) {
                deployment.revisions.remove(&revision);
            }
            self.plan.delete_revision(revision);
        }
    }
}
