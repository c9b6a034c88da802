use api::{ReplicaId, Timestamp, WorkerName};
use rand::Rng;

use super::{
    choice::{Choice, choose},
    victims,
};
use crate::{
    ReplicaState, Scheduler, Subject,
    placement::{Class, Domains, View, unsuitable},
    state::Nominee,
};

/// How many victims an event names.
const NAMED: usize = 3;

impl Scheduler {
    /// Has room kept for a replica that found none: where it was promised already, or where the fewest that matter less have
    /// to be stopped for it. Answers where, or why that does not help. Only `only` have changed since it was tried last.
    pub(crate) fn make_room(
        &mut self,
        id: &ReplicaId,
        class: &Class<'_>,
        domains: &Domains,
        only: Option<&[WorkerName]>,
        now: Timestamp,
    ) -> Result<WorkerName, String> {
        let promised = self.replicas.get(id).and_then(|replica| replica.nominated.clone());
        if let Some(name) = &promised {
            if self.will_hold(class, name, domains) {
                self.keep(id, name);
                return Ok(name.clone());
            }
            self.change(id, |replica| replica.nominated = None);
            self.room.freed.insert(name.clone());
        }
        if !class.template.priority.preempts {
            return Err("not eligible due to preemptionPolicy=Never.".to_owned());
        }
        if self.priorities.first_key_value().is_none_or(|(lowest, _)| *lowest >= class.priority()) {
            return Err("no pod has a lower priority.".to_owned());
        }
        let only = only.filter(|_| promised.is_none());
        let mut view = View { workers: &self.workers, only, first: 0 };
        if view.len() > 0 {
            view.first = self.rng.random_range(0..view.len());
        }
        let choice = choose(class, view, domains, &self.replicas, &self.settings)?;
        self.nominate(id, &choice, now);
        Ok(choice.worker)
    }

    /// Whether a worker that room was promised on has it, or will have when those that end there have ended.
    fn will_hold(&self, class: &Class<'_>, name: &WorkerName, domains: &Domains) -> bool {
        self.workers.get(name).is_some_and(|worker| {
            unsuitable(class, worker, domains).is_none() && victims::will_fit(class, worker, &self.replicas)
        })
    }

    fn nominate(&mut self, id: &ReplicaId, Choice { worker, victims }: &Choice, now: Timestamp) {
        self.keep(id, worker);
        let message = format!("waits for room on {worker}: {}", said_of(victims));
        self.change(id, |replica| {
            replica.nominated = Some(worker.clone());
            replica.state = ReplicaState::Unplaced(message);
        });
        self.release_lower(worker, id);
        if victims.is_empty() {
            return;
        }
        let message = format!("Preempting {} on worker {worker}", named(victims));
        self.plan.normal(Subject::Replica(id.clone()), "Preempting", message);
        for victim in victims {
            self.preempt(victim, id, worker, now);
        }
    }

    /// Stops a replica for another: it is no endpoint from now on, and has its grace for the requests that it serves.
    fn preempt(&mut self, victim: &ReplicaId, by: &ReplicaId, worker: &WorkerName, now: Timestamp) {
        let Some(owner) = self.replicas.get(victim).map(|replica| replica.revision.clone()) else { return };
        let owner = match self.revisions.get(&owner).and_then(|revision| revision.spec.deployment.clone()) {
            Some(deployment) => Subject::Deployment(deployment),
            None => Subject::Revision(owner),
        };
        let message = format!("Preempted by {by} on worker {worker}");
        self.plan.normal(Subject::Replica(victim.clone()), "Preempted", message.clone());
        self.plan.warning(owner, "Preempted", format!("Pod {}: {message}", victim.0.name));
        self.room.preempted = true;
        self.stop_replica(victim, now);
    }

    /// Keeps a worker's room for a replica.
    fn keep(&mut self, id: &ReplicaId, name: &WorkerName) {
        let Some(replica) = self.replicas.get(id) else { return };
        let nominee = Nominee { priority: replica.priority(), requests: replica.template.requests };
        if let Some(worker) = self.workers.get_mut(name) {
            worker.nominees.insert(id.clone(), nominee);
        }
    }

    /// Takes back what is kept for a replica while it looks for its place, so that it does not stand in its own way.
    pub(crate) fn set_aside(&mut self, id: &ReplicaId) {
        let promised = self.replicas.get(id).and_then(|replica| replica.nominated.as_ref());
        if let Some(worker) = promised.and_then(|name| self.workers.get_mut(name)) {
            worker.nominees.remove(id);
        }
    }

    /// Nothing is kept on a worker any more: whoever waits for it looks elsewhere.
    pub(crate) fn release_nominees(&mut self, name: &WorkerName) {
        let all = self.nominees_where(name, |_| true);
        all.iter().for_each(|id| self.release(id));
    }

    /// Who matters less than a new nominee looks anew.
    fn release_lower(&mut self, name: &WorkerName, by: &ReplicaId) {
        let Some(priority) = self.replicas.get(by).map(crate::state::Replica::priority) else { return };
        let lower = self.nominees_where(name, |nominee| nominee.priority < priority);
        lower.iter().for_each(|id| self.release(id));
    }

    fn nominees_where(&self, name: &WorkerName, which: impl Fn(&Nominee) -> bool) -> Vec<ReplicaId> {
        let nominees = self.workers.get(name).into_iter().flat_map(|worker| &worker.nominees);
        nominees.filter(|(_, nominee)| which(nominee)).map(|(id, _)| id.clone()).collect()
    }

    /// What has no worker and changes is tried again.
    fn release(&mut self, id: &ReplicaId) {
        self.set_aside(id);
        self.change(id, |replica| replica.nominated = None);
    }
}

fn said_of(victims: &[ReplicaId]) -> String {
    match victims.len() {
        0 => "pods are being stopped there.".to_owned(),
        count => format!("{count} pod(s) of lower priority are being stopped there."),
    }
}

fn named(victims: &[ReplicaId]) -> String {
    let names: Vec<String> = victims.iter().take(NAMED).map(ToString::to_string).collect();
    let more = victims.len().saturating_sub(NAMED);
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}
