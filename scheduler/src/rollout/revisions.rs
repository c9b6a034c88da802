use api::{ObjectKey, Timestamp};

use crate::{Revision, Scheduler, state::RevisionState};

impl Scheduler {
    /// The revision of a Deployment's template. It is made if there is none; if there is an old one, that is an undo, and it
    /// becomes the newest.
    pub(crate) fn ensure_current_revision(&mut self, key: &ObjectKey, now: Timestamp) -> Option<ObjectKey> {
        let deployment = self.deployments.get(key)?;
        let highest = deployment.revisions.iter().map(|key| self.revisions[key].spec.number).max().unwrap_or(0);
        let same = |key: &&ObjectKey| self.revisions[*key].spec.template.hash == deployment.spec.template.hash;
        let found = deployment.revisions.iter().find(same).cloned();
        let current = match found {
            Some(current) => {
                self.renumber(&current, highest);
                current
            }
            None => self.make_revision(key, highest + 1, now)?,
        };
        self.take_over_min_ready(key, &current);
        let deployment = self.deployments.get_mut(key)?;
        if deployment.current.as_ref() != Some(&current) {
            deployment.current = Some(current.clone());
            deployment.progressed = now;
        }
        Some(current)
    }

    fn renumber(&mut self, current: &ObjectKey, highest: u64) {
        let Some(revision) = self.revisions.get_mut(current) else { return };
        if revision.spec.number < highest || revision.spec.number == 0 {
            revision.spec.number = highest + 1;
            self.unsaved.insert(current.clone());
        }
    }

    fn make_revision(&mut self, owner: &ObjectKey, number: u64, now: Timestamp) -> Option<ObjectKey> {
        let deployment = self.deployments.get_mut(owner)?;
        let spec = &deployment.spec;
        let key = ObjectKey::new(owner.namespace.clone(), format!("{}-{}", owner.name, spec.template.hash));
        // What an earlier Deployment of this name has left running is taken over, as Kubernetes adopts orphans.
        if let Some(orphan) = self.revisions.get_mut(&key)
            && orphan.spec.deployment.is_none()
            && orphan.spec.template.hash == spec.template.hash
        {
            orphan.spec.deployment = Some(owner.clone());
            orphan.spec.number = number;
            deployment.revisions.insert(key.clone());
            self.unsaved.insert(key.clone());
            self.restated.insert(key.clone());
            self.touch_revision(&key);
            return Some(key);
        }
        let revision = Revision {
            key: key.clone(),
            deployment: Some(owner.clone()),
            number,
            template: spec.template.clone(),
            replicas: 0,
            min_ready: spec.min_ready,
            digest: None,
            created: now,
        };
        let held_back = spec.paused;
        deployment.revisions.insert(key.clone());
        self.revisions.insert(key.clone(), Box::new(RevisionState { held_back, ..RevisionState::new(revision) }));
        self.unsaved.insert(key.clone());
        self.restated.insert(key.clone());
        Some(key)
    }

    fn take_over_min_ready(&mut self, deployment: &ObjectKey, current: &ObjectKey) {
        let min_ready = self.deployments[deployment].spec.min_ready;
        let Some(revision) = self.revisions.get_mut(current) else { return };
        if revision.spec.min_ready != min_ready {
            revision.spec.min_ready = min_ready;
            self.unsaved.insert(current.clone());
        }
    }

    /// Takes a revision out, and its replicas with it.
    pub(crate) fn remove_revision(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(revision) = self.revisions.get(key) else { return };
        let present: Vec<_> = revision.live.iter().chain(&revision.standbys).cloned().collect();
        for id in present {
            self.stop_replica(&id, now);
        }
        let Some(revision) = self.revisions.remove(key) else { return };
        self.waiting.remove(key);
        self.unsaved.remove(key);
        self.restated.remove(key);
        self.dirty_revisions.remove(key);
        if let Some(owner) = revision.spec.deployment.as_ref().and_then(|owner| self.deployments.get_mut(owner)) {
            owner.revisions.remove(key);
            if owner.current.as_ref() == Some(key) {
                owner.current = None;
            }
        }
    }
}
