//! What must hold after every step, whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::{ObjectKey, ReplicaId, WorkerName};
use scheduler::{Action, Event, ReplicaState, Share, Strategy};

use crate::{
    worker::{Room, Running},
    world::World,
};

impl World {
    /// Checks what one step decided, and notes it.
    pub(crate) fn check_step(&mut self, event: &Event, actions: &[Action]) {
        let available_before = self.available_that_are_stopped(actions);
        let capacity = self.scenario.capacity;
        for action in actions {
            match action {
                Action::PublishWorker(worker) => assert!(
                    worker.reserved.memory_bytes <= capacity.memory_bytes
                        && worker.reserved.cpu_millis <= capacity.cpu_millis
                        && worker.replicas <= capacity.replicas,
                    "overcommitted: {worker:?}"
                ),
                Action::Start { worker, id, .. } | Action::Standby { worker, id, .. } => self.check_start(worker, id),
                Action::Rescaled { deployment, before, wanted, why } => {
                    self.check_rescale(deployment, (*before, *wanted), why);
                }
                Action::Stop { id, .. } => self.check_stop(id),
                _ => {}
            }
            self.control.mirror.note(action);
        }
        if let Event::Evict(id) = event {
            self.control.mirror.evicted.insert(id.clone());
        }
        let preempted = self.check_preemptions(actions);
        self.check_availability(event, &available_before, &preempted);
        self.note_wanted();
    }

    fn check_start(&mut self, worker: &WorkerName, id: &ReplicaId) {
        assert!(self.control.scheduler().is_settled(), "{id} is started before it is known what runs");
        let before = self.control.mirror.started_on.entry(id.clone()).or_insert_with(|| worker.clone());
        assert_eq!(before, worker, "{id} is started on a second worker");
        for (name, other) in &self.workers {
            assert!(
                name == worker || !other.running.contains_key(id),
                "{id} runs on {name}, and is started on {worker}"
            );
        }
    }

    /// It stays within its bounds, and is not scaled down where the gateway has been silent.
    fn check_rescale(&self, deployment: &ObjectKey, (before, wanted): (u32, u32), why: &str) {
        let Some(autoscaler) = self.store.autoscalers.get(deployment) else { return };
        assert!((autoscaler.min..=autoscaler.max).contains(&wanted), "{deployment} is scaled to {wanted}: {why}");
        let silence = self.now.since(self.traffic.last_report);
        let beyond = before > autoscaler.max;
        assert!(
            wanted >= before || beyond || silence <= Duration::from_millis(600),
            "{deployment} is scaled from {before} to {wanted} after {silence:?} without data: {why}"
        );
    }

    fn check_stop(&self, id: &ReplicaId) {
        let state = self.control.mirror.replicas.get(id).map(|view| &view.state);
        assert_ne!(state, Some(&ReplicaState::Ready), "{id} is told to stop while it is an endpoint");
    }

    /// Available replicas that this step stops, by Deployment.
    fn available_that_are_stopped(&self, actions: &[Action]) -> BTreeMap<ObjectKey, BTreeSet<ReplicaId>> {
        let mut stopped: BTreeMap<ObjectKey, BTreeSet<ReplicaId>> = BTreeMap::new();
        for action in actions {
            let Action::Stop { id, .. } = action else { continue };
            let mirror = &self.control.mirror;
            let Some(view) = mirror.replicas.get(id) else { continue };
            let Some(owner) = mirror.revisions.get(&view.revision).and_then(|revision| revision.deployment.clone())
            else {
                continue;
            };
            if mirror.available(&owner, self.now).any(|view| view.id == *id) {
                stopped.entry(owner).or_default().insert(id.clone());
            }
        }
        stopped
    }

    /// What was stopped by the scheduler's own decision has left enough. Preemption asks for no minimum, and what it took in
    /// this step is no reason to have stopped less.
    fn check_availability(
        &self,
        event: &Event,
        stopped: &BTreeMap<ObjectKey, BTreeSet<ReplicaId>>,
        preempted: &BTreeSet<ReplicaId>,
    ) {
        for (owner, ids) in stopped {
            let Some(deployment) = self.store.deployments.get(owner) else { continue };
            let caused_by_others = |id: &&ReplicaId| {
                let view = self.control.mirror.replicas.get(*id);
                let worker = view.and_then(|view| self.control.mirror.workers.get(view.worker.as_ref()?));
                let has_elsewhere = || {
                    let mut workers = self.control.mirror.workers.values();
                    workers.any(|worker| worker.ready && !worker.cordoned && !worker.leaving)
                };
                is_about(event, id)
                    || preempted.contains(*id)
                    || worker.is_none_or(|worker| !worker.ready || worker.leaving && !has_elsewhere())
            };
            if ids.iter().all(|id| caused_by_others(&id)) {
                continue;
            }
            let taken = ids.intersection(preempted).count();
            let left = (self.control.mirror.available(owner, self.now).count() + taken) as u32;
            let wanted = self.control.scheduler().wanted_replicas(owner).unwrap_or(deployment.replicas);
            let mut minimum = minimum(deployment.strategy, wanted);
            if self.is_rescaled(owner, wanted) {
                // Revisions keep their proportions, whatever serves in each; but then what does not serve of each goes first.
                minimum = minimum.min(1);
                self.check_first_to_go(ids.iter().filter(|id| !caused_by_others(id)));
            }
            assert!(left >= minimum, "{ids:?} of {owner} were stopped: {left} are available, {minimum} must be");
        }
    }

    /// A worker really runs no more than it can hold, and nothing that runs elsewhere. What a request has started there may be
    /// too much for as long as the scheduler, which gave the room to another, has not heard of it or is stopping it.
    pub(crate) fn check_worker_truth(&self, name: &WorkerName) {
        let is_known = |id: &ReplicaId| {
            let state = self.control.mirror.replicas.get(id).map(|view| &view.state);
            !matches!(state, None | Some(ReplicaState::Standby { .. } | ReplicaState::Stopping))
        };
        let counts = |(id, running): &(&ReplicaId, &Running)| match running.room {
            Room::None => false,
            Room::Given => true,
            Room::Taken => is_known(id),
        };
        let running: Vec<_> = self.workers[name].running.iter().filter(counts).map(|(_, running)| running).collect();
        let capacity = self.scenario.capacity;
        let memory: u64 = running.iter().map(|running| running.spec.limits.memory_bytes).sum();
        let cpu: u64 = running.iter().filter_map(|running| running.spec.limits.cpu_millis).sum();
        assert!(memory <= capacity.memory_bytes && cpu <= capacity.cpu_millis, "{name} runs more than it can hold");
        assert!(running.len() <= capacity.replicas as usize, "{name} runs too many replicas");
    }
}

fn is_about(event: &Event, id: &ReplicaId) -> bool {
    match event {
        Event::DeleteReplica(about) | Event::StartFailed { id: about, .. } => about == id,
        Event::Worker { message: api::session::WorkerUp::Phase { id: about, .. }, .. } => about == id,
        // A worker that begins anew may report that something has ended.
        Event::Worker { message: api::session::WorkerUp::Hello(hello), .. } => {
            hello.running.iter().all(|running| running.spec.id != *id)
        }
        _ => false,
    }
}

/// Written anew from Kubernetes' documentation, so that it is no copy of what it checks.
fn minimum(strategy: Strategy, replicas: u32) -> u32 {
    let Strategy::RollingUpdate { max_surge, max_unavailable } = strategy else { return 0 };
    let no_surge = matches!(max_surge, Share::Count(0) | Share::Percent(0)) || replicas == 0;
    let unavailable = match max_unavailable {
        Share::Count(count) => count,
        Share::Percent(percent) => (f64::from(replicas) * f64::from(percent) / 100.0).floor() as u32,
    };
    let unavailable = if no_surge && unavailable == 0 { 1 } else { unavailable };
    replicas.saturating_sub(unavailable)
}
