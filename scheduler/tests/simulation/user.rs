use std::time::Duration;

use api::{ObjectKey, ReplicaId};
use rand::Rng;
use scheduler::{
    Deployment, Event, Share, Strategy,
    autoscale::{Autoscaler, Behavior, Metric, PolicyKind, Rules, Target, TargetValue},
};

use crate::{scenario::template, world::World};

/// Larger Deployments are not rolled out one by one, which would take longer than a run.
const ONE_BY_ONE_UP_TO: u32 = 20;

impl World {
    pub(crate) fn create_deployments(&mut self) {
        for number in 0..self.scenario.deployments {
            self.create_deployment(number);
        }
    }

    fn create_deployment(&mut self, number: u32) {
        let key = ObjectKey::new("default", format!("app-{number}"));
        let deployment = Deployment {
            key: key.clone(),
            uid: String::new(),
            generation: 1,
            replicas: self.rng.random_range(0..=self.scenario.max_replicas),
            template: template(self.rng.random_range(0..4)),
            strategy: self.any_strategy(),
            min_ready: Duration::from_secs(if self.rng.random_bool(0.3) { 2 } else { 0 }),
            revision_history_limit: self.rng.random_range(0..3),
            progress_deadline: Duration::from_secs(20),
            paused: false,
            autoscaled: false,
        };
        self.store.deployments.insert(key.clone(), deployment.clone());
        if self.rng.random_bool(0.4) {
            self.scale_by_traffic(&key);
        }
        self.step(Event::Deployment(deployment));
    }

    /// A Deployment's number follows the traffic from now on.
    fn scale_by_traffic(&mut self, key: &ObjectKey) {
        let none = if self.scenario.scarce { 1 } else { 0 };
        let min = if self.rng.random_bool(0.7) { none } else { 2 };
        let quick = Rules { stabilization: Some(Duration::from_secs(5)), ..Rules::default() };
        let autoscaler = Autoscaler {
            deployment: key.clone(),
            object: None,
            min,
            max: self.scenario.max_replicas.max(2),
            policy: PolicyKind::ALL[self.rng.random_range(0..PolicyKind::ALL.len())],
            targets: vec![Target { metric: Metric::Concurrency, value: TargetValue::Average(10.0) }],
            // Within the time that a run has to converge.
            behavior: Some(Behavior { scale_up: None, scale_down: Some(quick) }),
            idle_after: Some(Duration::from_secs(2)),
        };
        self.store.autoscalers.insert(key.clone(), autoscaler.clone());
        self.step(Event::Autoscaler(autoscaler.into()));
    }

    /// A user changes something.
    pub(crate) fn edit(&mut self) {
        let number = self.rng.random_range(0..self.scenario.deployments);
        let key = ObjectKey::new("default", format!("app-{number}"));
        if !self.store.deployments.contains_key(&key) {
            return self.create_deployment(number);
        }
        // Where rollouts are to be found in the middle, they are paused and scaled more often.
        let edits = if self.scenario.stuck { 0..14 } else { 0..21 };
        match self.rng.random_range(edits) {
            0..6 => {
                let replicas = self.rng.random_range(0..=self.scenario.max_replicas);
                self.change(&key, |deployment| deployment.replicas = replicas);
            }
            // A template that was there before is an undo.
            6..12 => {
                let template = template(self.rng.random_range(0..6));
                self.change(&key, |deployment| deployment.template = template);
            }
            12..14 => self.change(&key, |deployment| deployment.paused = !deployment.paused),
            14 => {
                let strategy = self.any_strategy();
                self.change(&key, |deployment| deployment.strategy = strategy);
            }
            15 => {
                self.store.delete_deployment(&key);
                self.step(Event::DeploymentDeleted(key.clone()));
                self.step(Event::AutoscalerDeleted(key));
            }
            16 if self.store.autoscalers.contains_key(&key) => {
                self.store.autoscalers.remove(&key);
                self.step(Event::AutoscalerDeleted(key));
            }
            16 => self.with_a_replica(Event::DeleteReplica),
            17 => self.with_a_replica(Event::Evict),
            18 => {
                let worker = self.any_worker();
                self.step(Event::Forget(worker));
            }
            _ => {
                let (worker, cordoned) = (self.any_worker(), self.rng.random_bool(0.4));
                self.step(Event::Cordon { worker, cordoned });
            }
        }
    }

    fn change(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Deployment)) {
        let deployment = self.store.deployments.get_mut(key).expect("it was looked up");
        change(deployment);
        deployment.generation += 1;
        deployment.autoscaled = false;
        let deployment = deployment.clone();
        self.step(Event::Deployment(deployment));
    }

    fn with_a_replica(&mut self, event: fn(ReplicaId) -> Event) {
        let count = self.control.mirror.replicas.len();
        if count > 0 {
            let index = self.rng.random_range(0..count);
            let id = self.control.mirror.replicas.keys().nth(index).expect("it is one of them").clone();
            self.step(event(id));
        }
    }

    fn any_strategy(&mut self) -> Strategy {
        let share =
            |percent: bool, number: u32| if percent { Share::Percent(number * 25) } else { Share::Count(number) };
        if self.rng.random_bool(0.15) {
            return Strategy::Recreate;
        }
        if self.scenario.max_replicas > ONE_BY_ONE_UP_TO {
            let quarters = self.rng.random_range(1..4);
            return Strategy::RollingUpdate {
                max_surge: Share::Percent(25 * quarters),
                max_unavailable: Share::Percent(25),
            };
        }
        Strategy::RollingUpdate {
            max_surge: share(self.rng.random(), self.rng.random_range(0..3)),
            max_unavailable: share(self.rng.random(), self.rng.random_range(0..3)),
        }
    }

    /// Nothing is cordoned any more, nor paused but where that is the point.
    pub(crate) fn lift_restrictions(&mut self) {
        let stuck = self.scenario.stuck;
        for key in self.store.deployments.keys().cloned().collect::<Vec<_>>() {
            let off = self.store.autoscalers.get(&key).is_some_and(|autoscaler| autoscaler.min > 0);
            self.change(&key, |deployment| {
                deployment.paused &= stuck;
                // Zero written where the minimum is more keeps the autoscaler off.
                deployment.replicas = if off { deployment.replicas.max(1) } else { deployment.replicas };
            });
        }
        for worker in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.step(Event::Cordon { worker, cordoned: false });
        }
    }
}
