use std::{cmp::Reverse, collections::BTreeSet};

use api::{Digest, ObjectKey, ReplicaId, Timestamp, WorkerName};
use rand::Rng;

use super::{Class, Domains, View, place};
use crate::{Action, ReplicaState, Scheduler, Subject, state::Replica, timers::Timer};

/// Why what could not be placed may fit now.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Workers came, or changed in what they admit: everything is tried everywhere.
    pub(crate) everywhere: bool,
    /// Something ended on these.
    pub(crate) freed: BTreeSet<WorkerName>,
    /// Revisions with replicas that have not been tried yet.
    pub(crate) untried: BTreeSet<ObjectKey>,
    /// Somebody was stopped to make room, and is to be replaced.
    pub(crate) preempted: bool,
}

impl Scheduler {
    /// Places what waits, as far as something has changed since it was last tried: what matters most first.
    pub(crate) fn place_waiting(&mut self, now: Timestamp) {
        let room = std::mem::take(&mut self.room);
        if room.everywhere {
            self.house_standbys();
        }
        if !room.everywhere && room.freed.is_empty() {
            for revision in self.by_priority(room.untried) {
                self.place_revision(&revision, None, now);
            }
            return;
        }
        let freed: Vec<WorkerName> = room.freed.into_iter().collect();
        for revision in self.by_priority(self.waiting.clone()) {
            let only = (!room.everywhere && !room.untried.contains(&revision)).then_some(freed.as_slice());
            self.place_revision(&revision, only, now);
        }
    }

    fn by_priority(&self, revisions: BTreeSet<ObjectKey>) -> Vec<ObjectKey> {
        let priority = |key: &ObjectKey| self.revisions.get(key).map(|revision| revision.spec.template.priority.value);
        let mut sorted: Vec<ObjectKey> = revisions.into_iter().collect();
        sorted.sort_by_key(|key| Reverse(priority(key)));
        sorted
    }

    /// Places the waiting replicas of one revision until one does not fit, nor can be made to: then none of the others does.
    fn place_revision(&mut self, key: &ObjectKey, only: Option<&[WorkerName]>, now: Timestamp) {
        let Some(revision) = self.revisions.get(key) else { return };
        let Some(digest) = revision.spec.digest.clone() else { return };
        let (template, group) = (revision.spec.template.clone(), revision.group().clone());
        let desired = self.deployments.get(&group).map_or(revision.spec.replicas, |deployment| deployment.wanted());
        let class = Class { template: &template, digest: &digest, group: &group, desired };
        let mut domains = Domains::count(&template, &group, &self.workers);
        let mut waiting: Vec<ReplicaId> = revision.unplaced.iter().cloned().collect();
        // Those that room is kept for take theirs before others look for some.
        waiting.sort_by_key(|id| self.replicas.get(id).is_none_or(|replica| replica.nominated.is_none()));
        for (index, id) in waiting.iter().enumerate() {
            self.set_aside(id);
            let mut view = View { workers: &self.workers, only, first: 0 };
            if view.len() > 0 {
                view.first = self.rng.random_range(0..view.len());
            }
            let worker = match place(&class, view, &domains, &self.settings) {
                Ok(worker) => {
                    self.bind(id, &worker, &digest, now);
                    worker
                }
                Err(why) => match self.make_room(id, &class, &domains, only, now) {
                    Ok(worker) => worker,
                    Err(help) if only.is_none() => {
                        let why =
                            if template.priority.class.is_some() { format!("{why} preemption: {help}") } else { why };
                        return self.say_unplaceable(&waiting[index..], &why);
                    }
                    Err(_) => return,
                },
            };
            domains.add(&template, &self.workers[&worker]);
        }
    }

    fn bind(&mut self, id: &ReplicaId, worker: &WorkerName, digest: &Digest, now: Timestamp) {
        // Room that was kept elsewhere is free for others.
        let kept = self.replicas.get(id).and_then(|replica| replica.nominated.clone());
        self.room.freed.extend(kept.filter(|kept| kept != worker));
        self.change(id, |replica| {
            replica.worker = Some(worker.clone());
            replica.nominated = None;
            replica.digest = Some(digest.clone());
            replica.last_failure = None;
            replica.begin();
        });
        let message = format!("Successfully assigned {id} to {worker}");
        self.plan.normal(Subject::Replica(id.clone()), "Scheduled", message);
        self.send_start(id, now);
    }

    /// Tells the worker to start a replica that is bound to it.
    pub(crate) fn start(&mut self, id: &ReplicaId, now: Timestamp) {
        self.change(id, Replica::begin);
        self.send_start(id, now);
    }

    pub(crate) fn send_start(&mut self, id: &ReplicaId, now: Timestamp) {
        let Some(replica) = self.replicas.get(id) else { return };
        let (Some(worker), Some(digest)) = (replica.worker.clone(), replica.digest.clone()) else { return };
        self.plan.command(Action::Start {
            worker,
            id: id.clone(),
            revision: replica.revision.clone(),
            template: replica.template.clone(),
            digest,
            created: replica.created,
        });
        self.timers.set(now + self.settings.start_answer_within, Timer::StartUnanswered(id.clone()));
    }

    fn say_unplaceable(&mut self, waiting: &[ReplicaId], why: &str) {
        for id in waiting {
            let said = ReplicaState::Unplaced(why.to_owned());
            if self.replicas.get(id).is_some_and(|replica| replica.nominated.is_none() && replica.state != said) {
                self.change(id, |replica| replica.state = said);
                self.plan.warning(Subject::Replica(id.clone()), "FailedScheduling", why.to_owned());
            }
        }
    }
}
