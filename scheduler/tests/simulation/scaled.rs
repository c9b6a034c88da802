//! Deployments that are scaled, wherever their rollouts are.

use api::{ObjectKey, ReplicaId};
use scheduler::{ReplicaState, ReplicaView};

use crate::world::World;

impl World {
    /// Whether a Deployment wants another number than before this step.
    pub(crate) fn is_rescaled(&self, owner: &ObjectKey, wanted: u32) -> bool {
        self.control.mirror.wanted.get(owner).is_some_and(|before| *before != wanted)
    }

    pub(crate) fn note_wanted(&mut self) {
        let wanted = |key: &ObjectKey| Some((key.clone(), self.control.scheduler().wanted_replicas(key)?));
        self.control.mirror.wanted = self.store.deployments.keys().filter_map(wanted).collect();
    }

    /// Of what was available and is stopped by a scaling, nothing goes before what does not serve of the same revision.
    pub(crate) fn check_first_to_go<'a>(&self, stopped: impl Iterator<Item = &'a ReplicaId>) {
        for id in stopped.filter(|id| !self.leaves(&self.control.mirror.replicas[*id])) {
            let revision = &self.control.mirror.replicas[id].revision;
            let views = self.control.mirror.of_revision[revision].iter().map(|id| &self.control.mirror.replicas[id]);
            // What the same step has made is a rollout's next move.
            let mut were_there = views.filter(|view| !self.leaves(view) && view.created < self.now);
            let idle = were_there.find(|view| serves_nothing(view));
            assert!(idle.is_none(), "{id} was available and is stopped, though there is {idle:?}");
        }
    }

    /// Whether it is on its way to another worker: it goes when another is ready.
    pub(crate) fn leaves(&self, view: &ReplicaView) -> bool {
        let worker = view.worker.as_ref().and_then(|worker| self.control.mirror.workers.get(worker));
        worker.is_some_and(|worker| worker.leaving) || self.control.mirror.evicted.contains(&view.id)
    }
}

fn serves_nothing(view: &ReplicaView) -> bool {
    use ReplicaState::{BackOff, NotReady, Starting, Unknown, Unplaced};
    matches!(view.state, Unplaced(_) | Starting | NotReady | BackOff { .. } | Unknown)
}
