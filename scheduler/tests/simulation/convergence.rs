//! What must hold when the world has been quiet for long enough.

use std::collections::BTreeSet;

use api::{ObjectKey, ReplicaId, replica::ReplicaPhase};
use scheduler::{Deployment, ReplicaState, ReplicaView};

use crate::world::World;

impl World {
    pub(crate) fn check_convergence(&self) {
        for deployment in self.store.deployments.values() {
            match (self.scenario.scarce, self.scenario.stuck) {
                (true, _) => self.check_scarce(deployment),
                (_, true) => self.check_stuck(deployment),
                _ => self.check_deployment(deployment),
            }
        }
        if !self.scenario.stuck {
            self.check_order();
        }
        self.check_truth();
        self.check_beliefs();
    }

    fn check_deployment(&self, deployment: &Deployment) {
        let key = &deployment.key;
        let status = self.control.scheduler().deployment_status(key).unwrap_or_else(|| panic!("{key} has no status"));
        let counts = [status.replicas, status.updated, status.ready, status.available];
        let autoscaler = self.store.autoscalers.get(key);
        // Without traffic, each of them has come to its minimum.
        let wanted = autoscaler.map_or(deployment.replicas, |autoscaler| autoscaler.min);
        assert_eq!(counts, [wanted; 4], "{key} has not converged: {status:?}");
        assert_eq!(deployment.replicas, wanted, "{key}: what is wanted was not written");
        let standbys = self.control.mirror.replicas.values().filter(|view| is_standby_of(view, key)).count();
        let expected = usize::from(autoscaler.is_some() && wanted == 0);
        assert_eq!(standbys, expected, "{key} has {standbys} standbys");
        assert_eq!(status.observed_generation, deployment.generation, "{key}");
        assert_eq!(self.control.mirror.statuses.get(key), Some(status), "{key}: what was told is not what is");
        let reasons: Vec<_> =
            status.conditions.iter().map(|condition| (condition.reason.as_str(), condition.status)).collect();
        assert_eq!(reasons, [("MinimumReplicasAvailable", true), ("NewReplicaSetAvailable", true)], "{key}");
        let owned = self.store.revisions.values().filter(|revision| revision.deployment.as_ref() == Some(key));
        let (current, old): (Vec<_>, Vec<_>) =
            owned.partition(|revision| revision.template.hash == deployment.template.hash);
        assert_eq!(current.len(), 1, "{key} has one current revision");
        assert_eq!(current[0].number, status.revision, "{key}");
        assert!(
            old.iter().all(|revision| revision.replicas == 0 && revision.number < current[0].number),
            "{key}: {old:?}"
        );
        assert!(old.len() <= deployment.revision_history_limit as usize, "{key} keeps too many revisions");
    }

    /// Where there is not room for all, as many as are wanted run or wait for it.
    fn check_scarce(&self, deployment: &Deployment) {
        let key = &deployment.key;
        let status = self.control.scheduler().deployment_status(key).unwrap_or_else(|| panic!("{key} has no status"));
        let wanted = self.store.autoscalers.get(key).map_or(deployment.replicas, |autoscaler| autoscaler.min);
        assert!(status.replicas >= wanted, "{key} wants {wanted}: {status:?}");
        assert_eq!(self.control.mirror.statuses.get(key), Some(status), "{key}: what was told is not what is");
    }

    /// Where a rollout cannot end, each revision nevertheless has as many as it wants.
    fn check_stuck(&self, deployment: &Deployment) {
        let key = &deployment.key;
        for revision in self.store.revisions.values().filter(|revision| revision.deployment.as_ref() == Some(key)) {
            let views = self.control.mirror.replicas.values().filter(|view| view.revision == revision.key);
            // Who leaves goes on serving until another can, in whatever revision.
            let stays = |view: &&ReplicaView| !matches!(view.state, ReplicaState::Standby { .. }) && !self.leaves(view);
            let live = views.filter(stays).count();
            assert_eq!(live, revision.replicas as usize, "{} has more or less than it wants", revision.key);
        }
    }

    /// Exactly what is wanted runs.
    fn check_truth(&self) {
        let mut running: BTreeSet<&ReplicaId> = BTreeSet::new();
        for worker in self.workers.values() {
            self.check_worker_truth(&worker.name);
            for (id, replica) in &worker.running {
                assert!(
                    matches!(replica.phase, ReplicaPhase::Ready | ReplicaPhase::Standby),
                    "{id} on {} is {:?}",
                    worker.name,
                    replica.phase
                );
                assert!(running.insert(id), "{id} runs twice");
                let view = self.control.mirror.replicas.get(id);
                let believed = view.and_then(|view| view.worker.as_ref());
                assert_eq!(believed, Some(&worker.name), "{id} runs on {}", worker.name);
            }
        }
        let placed = self.control.mirror.replicas.values().filter(|view| view.worker.is_some());
        let believed: BTreeSet<&ReplicaId> = placed.map(|view| &view.id).collect();
        assert_eq!(running, believed);
        let owned = |id: &ReplicaId| self.store.revisions.contains_key(&self.control.mirror.replicas[id].revision);
        assert!(believed.iter().all(|id| owned(id)), "replicas of revisions that are gone run on");
    }

    /// The shell was told everything that the scheduler believes.
    fn check_beliefs(&self) {
        let scheduler = self.control.scheduler();
        let replicas: Vec<_> = scheduler.replicas().collect();
        let settled = |state: &ReplicaState| match state {
            ReplicaState::Ready | ReplicaState::Standby { ready: true } => true,
            ReplicaState::Unplaced(_) => self.scenario.scarce || self.scenario.stuck,
            _ => false,
        };
        assert!(replicas.iter().all(|view| settled(&view.state)));
        assert!(replicas.iter().eq(self.control.mirror.replicas.values()), "replicas were not told");
        assert!(scheduler.workers().eq(self.control.mirror.workers.values().cloned()), "workers were not told");
        let revisions = scheduler.revisions().filter(|revision| revision.deployment.is_some());
        assert!(revisions.eq(self.store.revisions.values()), "revisions were not written");
    }
}

fn is_standby_of(view: &ReplicaView, deployment: &ObjectKey) -> bool {
    let revision = &view.revision.name;
    view.state == ReplicaState::Standby { ready: true } && revision.starts_with(&format!("{}-v", deployment.name))
}
