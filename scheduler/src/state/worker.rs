use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Digest, ObjectKey, ReplicaId, Taint, TaintEffect, Timestamp, WorkerMarks, WorkerName, session::Capacity};

use super::{Load, Replica};
use crate::{NETWORK_UNAVAILABLE, Resources, Template, WorkerView};

/// A replica that room is kept for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nominee {
    pub(crate) priority: i32,
    pub(crate) requests: Resources,
}

/// A worker, and what is reserved on it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) name: WorkerName,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) capacity: Capacity,
    pub(crate) reserved: Resources,
    /// Owned replicas that are bound to it.
    pub(crate) replicas: BTreeSet<ReplicaId>,
    /// Owned replicas that stand by here. They hold nothing.
    pub(crate) standbys: BTreeSet<ReplicaId>,
    /// Replicas that are nobody's any more but may run here, with what they hold. They are told to stop.
    pub(crate) leftovers: BTreeMap<ReplicaId, Resources>,
    /// Replicas without a worker that room is kept for here: nobody who matters less takes it.
    pub(crate) nominees: BTreeMap<ReplicaId, Nominee>,
    /// How many owned replicas there are of each Deployment, or revision without one.
    pub(crate) groups: BTreeMap<ObjectKey, u32>,
    pub(crate) cached: BTreeSet<Digest>,
    pub(crate) connected: bool,
    /// Connected, and heard of lately.
    pub(crate) ready: bool,
    /// Silent for so long that its replicas were replaced.
    pub(crate) lost: bool,
    pub(crate) cordoned: bool,
    /// Why gateways do not reach it.
    pub(crate) unreached: Option<Arc<str>>,
    /// It is about to end: it takes no new replicas, and those it has are moved.
    pub(crate) leaving: bool,
    pub(crate) taints: Vec<Taint>,
    /// The labels and taints that it says it has. Those above are these, as users have changed them.
    own: (BTreeMap<String, String>, Vec<Taint>),
    pub(crate) marks: WorkerMarks,
    pub(crate) last_heard: Timestamp,
    /// When it is looked at next: timers that were set for earlier are void.
    pub(crate) check_at: Timestamp,
    pub(crate) since: Timestamp,
}

impl Worker {
    pub(crate) fn new(name: WorkerName, capacity: Capacity, now: Timestamp) -> Self {
        Self {
            name,
            labels: BTreeMap::new(),
            capacity,
            reserved: Resources::default(),
            replicas: BTreeSet::new(),
            standbys: BTreeSet::new(),
            leftovers: BTreeMap::new(),
            nominees: BTreeMap::new(),
            groups: BTreeMap::new(),
            cached: BTreeSet::new(),
            connected: false,
            ready: false,
            lost: false,
            cordoned: false,
            unreached: None,
            leaving: false,
            taints: Vec::new(),
            own: Default::default(),
            marks: WorkerMarks::default(),
            last_heard: now,
            check_at: now,
            since: now,
        }
    }

    /// It says that it has these labels and taints, and users say this of it.
    pub(crate) fn say(&mut self, own: (BTreeMap<String, String>, Vec<Taint>), marks: WorkerMarks) {
        self.own = own;
        self.mark(marks);
    }

    /// Users say this of it.
    pub(crate) fn mark(&mut self, marks: WorkerMarks) {
        self.labels = marks.labels(&self.own.0);
        self.taints = marks.taints(&self.own.1);
        self.marks = marks;
    }

    /// Places that are taken, leftovers included.
    pub(crate) fn occupied(&self) -> u32 {
        (self.replicas.len() + self.leftovers.len()) as u32
    }

    /// What is taken as one of this priority sees it: what is reserved, and what is kept for those that matter as much.
    pub(crate) fn load_for(&self, priority: i32) -> Load {
        let mut load = Load { held: self.reserved, replicas: self.occupied() };
        let before_it = self.nominees.values().filter(|nominee| nominee.priority >= priority);
        before_it.for_each(|nominee| load.add(nominee.requests));
        load
    }

    pub(crate) fn of_group(&self, group: &ObjectKey) -> u32 {
        self.groups.get(group).copied().unwrap_or(0)
    }

    /// Takes in a replica: with what it asks for, or as one that stands by and holds nothing.
    pub(crate) fn take_in(&mut self, replica: &Replica) {
        if replica.reserved {
            self.bind(replica.id.clone(), &replica.group, replica.template.requests);
        } else {
            self.standbys.insert(replica.id.clone());
        }
    }

    /// Lets go of a replica, whatever it held.
    pub(crate) fn let_go(&mut self, replica: &Replica) {
        self.standbys.remove(&replica.id);
        self.unbind(&replica.id, &replica.group, replica.template.requests);
    }

    pub(crate) fn bind(&mut self, id: ReplicaId, group: &ObjectKey, requests: Resources) {
        if self.replicas.insert(id) {
            *self.groups.entry(group.clone()).or_default() += 1;
            self.reserve(requests);
        }
    }

    pub(crate) fn unbind(&mut self, id: &ReplicaId, group: &ObjectKey, requests: Resources) {
        if !self.replicas.remove(id) {
            return;
        }
        if let Some(count) = self.groups.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(group);
            }
        }
        self.release(requests);
    }

    /// All owned replicas, those that stand by included.
    pub(crate) fn owned(&self) -> Vec<ReplicaId> {
        self.replicas.iter().chain(&self.standbys).cloned().collect()
    }

    /// Whether new replicas may start here, as far as nothing of them matters.
    pub(crate) fn is_open(&self) -> bool {
        self.ready && !self.cordoned && !self.leaving
    }

    /// Whether gateways reach it, or what runs a template needs no gateway, as that says.
    pub(crate) fn is_reached_by(&self, template: &Template) -> bool {
        let taint =
            || Taint { key: NETWORK_UNAVAILABLE.to_owned(), value: String::new(), effect: TaintEffect::NoSchedule };
        self.unreached.is_none() || template.tolerates(&taint())
    }

    /// Whether more is reserved than there is.
    pub(crate) fn is_overfull(&self) -> bool {
        self.reserved.memory_bytes > self.capacity.memory_bytes
            || self.reserved.cpu_millis > self.capacity.cpu_millis
            || self.occupied() > self.capacity.replicas
    }

    pub(crate) fn leave_over(&mut self, id: ReplicaId, held: Resources) {
        if self.leftovers.insert(id, held).is_none() {
            self.reserve(held);
        }
    }

    /// A leftover has ended. Answers whether there was one.
    pub(crate) fn clear_leftover(&mut self, id: &ReplicaId) -> bool {
        let Some(held) = self.leftovers.remove(id) else { return false };
        self.release(held);
        true
    }

    pub(crate) fn view(&self) -> WorkerView {
        WorkerView {
            name: self.name.clone(),
            labels: self.labels.clone(),
            capacity: self.capacity,
            reserved: self.reserved,
            replicas: self.replicas.len() as u32,
            ready: self.ready,
            cordoned: self.cordoned,
            unreached: self.unreached.clone(),
            leaving: self.leaving,
            taints: self.taints.clone(),
            marks: self.marks.clone(),
            since: self.since,
        }
    }

    fn reserve(&mut self, held: Resources) {
        self.reserved.cpu_millis += held.cpu_millis;
        self.reserved.memory_bytes += held.memory_bytes;
    }

    fn release(&mut self, held: Resources) {
        self.reserved.cpu_millis -= held.cpu_millis;
        self.reserved.memory_bytes -= held.memory_bytes;
    }
}
