//! The control plane around the scheduler, as far as it matters here: it carries out actions and feeds events.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use api::{
    Digest, ObjectKey, ReplicaId, Timestamp,
    replica::{ReplicaSpec, Reserves},
    session::WorkerDown,
};
use rand::Rng;
use scheduler::{Action, Event, Scheduler, Subject, Template};

use crate::{
    mirror::Mirror,
    scenario::Scenario,
    store::Write,
    world::{Happening, World},
};

pub(crate) struct Control {
    scheduler: Option<Scheduler>,
    /// Counts its lives: what an earlier one has asked for does not happen.
    life: u64,
    pub(crate) mirror: Mirror,
    /// Writes reach the store in order.
    last_write: Timestamp,
}

impl Control {
    pub(crate) fn down() -> Self {
        Self { scheduler: None, life: 0, mirror: Mirror::default(), last_write: Timestamp::default() }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.scheduler.is_some()
    }

    /// Lives that have ended.
    pub(crate) fn lives(&self) -> u64 {
        self.life
    }

    pub(crate) fn is_life(&self, life: u64) -> bool {
        self.is_up() && self.life == life
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        self.scheduler.as_ref().expect("the control plane is up")
    }
}

impl World {
    /// A control plane begins: it reads the store, and then listens to workers.
    pub(crate) fn boot(&mut self) {
        if self.control.is_up() {
            return;
        }
        let seed = self.rng.random();
        self.control.scheduler = Some(Scheduler::new(seed, Scenario::settings()));
        self.control.mirror = Mirror { revisions: self.store.revisions.clone(), ..Mirror::default() };
        self.trace(|| "boot".to_owned());
        for revision in self.store.revisions.values().cloned().collect::<Vec<_>>() {
            self.step(Event::Revision(revision));
        }
        for autoscaler in self.store.autoscalers.values().cloned().collect::<Vec<_>>() {
            self.step(Event::Autoscaler(autoscaler.into()));
        }
        for deployment in self.store.deployments.values().cloned().collect::<Vec<_>>() {
            self.step(Event::Deployment(deployment));
        }
        self.step(Event::Loaded);
    }

    /// The control plane ends, and with it what it has not written.
    pub(crate) fn shut_down(&mut self) {
        if self.control.is_up() {
            self.control.scheduler = None;
            self.control.life += 1;
            self.end_all_sessions();
            self.within(Duration::from_secs(5), Happening::Boot);
        }
    }

    /// One event, carried out, and checked.
    pub(crate) fn step(&mut self, event: Event) {
        let mut next = VecDeque::from([event]);
        while let Some(event) = next.pop_front() {
            let now = self.now;
            let Some(scheduler) = self.control.scheduler.as_mut() else { return };
            let actions = scheduler.step(event.clone(), now);
            let done = summary(&actions);
            if !done.is_empty() {
                self.trace(|| format!("{event:?} => {done}"));
            }
            self.check_step(&event, &actions);
            for action in actions {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Start { worker, id, revision, template, digest, created } => {
                let spec = spec(id, &revision, &template, digest, created);
                self.send_down(&worker, WorkerDown::Start(spec));
            }
            Action::Standby { worker, id, revision, template, digest, created } => {
                let spec = spec(id, &revision, &template, digest, created);
                self.send_down(&worker, WorkerDown::Standby(spec));
            }
            Action::DeploymentReplicas { key, replicas } => self.write(Write::Replicas(key, replicas)),
            Action::Stop { worker, id, grace } => self.send_down(&worker, WorkerDown::Stop { id, grace }),
            Action::ResolveImage { revision, reference, .. } => {
                let life = self.control.life;
                self.within(Duration::from_millis(100), Happening::Resolved { life, revision, reference });
            }
            Action::PutRevision(revision) => self.write(Write::Put(revision)),
            Action::DeleteRevision(key) => self.write(Write::Delete(key)),
            Action::WakeAt(at) => self.at(at, Happening::Wake { life: self.control.life }),
            _ => {}
        }
    }

    fn write(&mut self, write: Write) {
        let delay = self.spell(Duration::from_secs(1));
        let at = (self.now + delay).max(self.control.last_write);
        self.control.last_write = at;
        self.at(at, Happening::Apply { life: self.control.life, write });
    }

    /// The store takes a write; what the scheduler wrote of a Deployment comes back to it.
    pub(crate) fn apply(&mut self, write: Write) {
        let rescaled = match &write {
            Write::Replicas(key, _) => Some(key.clone()),
            _ => None,
        };
        self.store.apply(write);
        if let Some(deployment) = rescaled.and_then(|key| self.store.deployments.get(&key).cloned()) {
            self.step(Event::Deployment(deployment));
        }
    }

    pub(crate) fn resolved(&mut self, life: u64, revision: ObjectKey, reference: &str) {
        if !self.control.is_life(life) {
            return;
        }
        // Some answers never come.
        if !self.is_quiet() && self.rng.random_bool(0.05) {
            return;
        }
        let missing = !self.scenario.has_image(reference);
        let result = if missing || (!self.is_quiet() && self.rng.random_bool(0.2)) {
            Err(format!("{reference} is not found"))
        } else {
            let mut bytes = [0; 32];
            bytes[..reference.len().min(32)].copy_from_slice(&reference.as_bytes()[..reference.len().min(32)]);
            Ok(Digest::from_sha256(bytes))
        };
        self.step(Event::ImageResolved { revision, result });
    }
}

fn spec(
    id: ReplicaId,
    revision: &ObjectKey,
    template: &Template,
    digest: Digest,
    created: Timestamp,
) -> Arc<ReplicaSpec> {
    Arc::new(ReplicaSpec {
        id,
        revision: revision.name.to_string(),
        created,
        image: template.image.clone(),
        digest,
        environment: Default::default(),
        grants: template.grants.clone(),
        limits: template.limits.clone(),
        reserves: Reserves { cpu_millis: template.requests.cpu_millis, memory_bytes: template.requests.memory_bytes },
        probes: template.probes.clone(),
        seal: Vec::new(),
    })
}

/// The actions that do something, for a trace.
fn summary(actions: &[Action]) -> String {
    let said = actions.iter().filter_map(|action| match action {
        Action::Start { worker, id, .. } => Some(format!("start {id} on {worker}")),
        Action::Stop { worker, id, .. } => Some(format!("stop {id} on {worker}")),
        Action::Standby { worker, id, .. } => Some(format!("stand by {id} on {worker}")),
        Action::Rescaled { deployment, wanted, why, .. } => Some(format!("{deployment} rescaled to {wanted}: {why}")),
        Action::AutoscalerStatus { deployment, status } => Some(format!("{deployment}: {}", status.why)),
        Action::PublishReplica(view) => Some(format!("{} {:?}", view.id, view.state)),
        Action::RemoveReplica(id) => Some(format!("{id} gone")),
        Action::PutRevision(revision) => Some(format!("{} wants {}", revision.key, revision.replicas)),
        Action::DeleteRevision(key) => Some(format!("{key} deleted")),
        Action::ResolveImage { revision, .. } => Some(format!("resolve {revision}")),
        Action::Emit { about: Subject::Replica(id), reason: "Preempted", message, .. } => {
            Some(format!("{id}: {message}"))
        }
        Action::WakeAt(_) | Action::Emit { .. } | Action::PublishWorker(_) => None,
        other => Some(format!("{other:?}")),
    });
    said.collect::<Vec<_>>().join("; ")
}
