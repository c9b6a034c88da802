//! Who owns whom, and what is to become of an object. Pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use kube_api::resources::Durability;
use store::Revision;

use super::node::{Closing, Node, Owner, Place};

/// What is to become of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays as it is.
    Keep,
    /// All of its owners are gone, or what it waited for.
    Delete,
    /// As [`Verdict::Delete`], but finalizers of users hold it: it is marked, and goes once they are taken away.
    Mark,
    /// Its owners are being deleted, and it has dependents itself that it is to wait for.
    Close,
    /// Owners with these uids are gone or going, others are not: it forgets those.
    Release(Vec<String>),
    /// It is being deleted, and these are to forget it first.
    OrphanDependents(Vec<Arc<str>>),
}

/// The objects of both stores.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Arc<str>, Node>,
    /// Keys of objects, by the uid of an owner.
    dependents: HashMap<String, BTreeSet<Arc<str>>>,
    /// Of objects that are deleted in the foreground: what they owned that is gone, and itself owns what is live.
    inherited: HashMap<Arc<str>, HashSet<String>>,
    /// How many stored objects each namespace holds, by its key.
    population: HashMap<String, usize>,
    /// Whether live objects that are missing are gone.
    settled: bool,
}

/// How an owner stands to its dependent.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Solid,
    /// It is being deleted, and waits for its dependents.
    Waiting,
    Gone,
}

impl Graph {
    /// An object was written. Answers what is to be judged.
    pub(super) fn put(&mut self, key: &Arc<str>, value: &Bytes, revision: Revision) -> Vec<Arc<str>> {
        let Some(node) = Node::read(key, value, revision) else { return Vec::new() };
        let mut due = vec![key.clone()];
        if node.is_namespace() && node.deleted {
            due.extend(self.inside(key));
        }
        if let Some(namespace) = node.namespace_key().filter(|_| !self.nodes.contains_key(key)) {
            *self.population.entry(namespace).or_default() += 1;
        }
        if node.closing != Closing::No {
            due.extend(self.dependents_of(&node.uid));
        }
        match self.nodes.insert(key.clone(), node) {
            // Another object of the same name has taken its place, faster than could be told.
            Some(before) if before.uid != self.nodes[key].uid => due.extend(self.detach(key, &before)),
            Some(before) => due.extend(self.unlink(key, &before)),
            None => {}
        }
        let owners = self.nodes[key].owners.iter().map(|owner| owner.uid.clone());
        for uid in owners.collect::<Vec<_>>() {
            self.dependents.entry(uid).or_default().insert(key.clone());
        }
        due
    }

    /// An object was removed. Answers what is to be judged.
    pub(super) fn remove(&mut self, key: &Arc<str>) -> Vec<Arc<str>> {
        let Some(node) = self.nodes.remove(key) else { return Vec::new() };
        let mut due = self.detach(key, &node);
        if let Some(namespace) = node.namespace_key()
            && let Some(count) = self.population.get_mut(&namespace)
        {
            *count -= 1;
            if *count == 0 {
                self.population.remove(&namespace);
                due.push(namespace.into());
            }
        }
        due
    }

    /// From now on live objects that are missing are gone. Answers what is to be judged.
    pub(super) fn settle(&mut self) -> BTreeSet<Arc<str>> {
        self.settled = true;
        self.to_judge()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Everything that may be other than to be kept.
    pub(super) fn to_judge(&self) -> BTreeSet<Arc<str>> {
        let all = self.nodes.iter();
        all.filter(|(_, node)| !node.owners.is_empty() || node.deleted || self.is_emptied(node))
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(super) fn node(&self, key: &str) -> Option<&Node> {
        self.nodes.get(key)
    }

    pub(super) fn uid(&self, key: &str) -> Option<&str> {
        self.nodes.get(key).map(|node| node.uid.as_str())
    }

    /// What is to become of an object.
    pub(super) fn judge(&self, key: &Arc<str>) -> Verdict {
        let Some(node) = self.nodes.get(key) else { return Verdict::Keep };
        if node.is_namespace() {
            let empty = !self.population.contains_key(&**key);
            return if node.deleted && !node.held && empty { Verdict::Delete } else { Verdict::Keep };
        }
        if !node.is_collected() {
            return Verdict::Keep;
        }
        if self.is_emptied(node) {
            return delete(node);
        }
        match node.closing {
            Closing::Foreground if self.is_blocked(key, node) => return Verdict::Keep,
            Closing::Foreground => return delete(node),
            Closing::Orphan => {
                let mut dependents = self.dependents_of(&node.uid);
                dependents.retain(|key| self.nodes.get(key).is_some_and(Node::is_collected));
                return if dependents.is_empty() { delete(node) } else { Verdict::OrphanDependents(dependents) };
            }
            Closing::No if node.owners.is_empty() => return Verdict::Keep,
            Closing::No => {}
        }
        let standings: Vec<_> = node.owners.iter().map(|owner| (owner, self.standing(node, owner))).collect();
        let any = |wanted: Standing| standings.iter().any(|(_, standing)| *standing == wanted);
        match (any(Standing::Solid), any(Standing::Waiting), any(Standing::Gone)) {
            (true, false, false) => Verdict::Keep,
            (true, ..) => {
                let going = standings.iter().filter(|(_, standing)| *standing != Standing::Solid);
                Verdict::Release(going.map(|(owner, _)| owner.uid.clone()).collect())
            }
            (false, true, _) if self.is_blocked(key, node) => Verdict::Close,
            (false, ..) => delete(node),
        }
    }

    /// Whether what an object's namespace holds is to go.
    fn is_emptied(&self, node: &Node) -> bool {
        let namespace = node.namespace_key().and_then(|key| self.nodes.get(key.as_str()));
        namespace.is_some_and(|namespace| namespace.deleted)
    }

    /// The keys of what the namespace at this key holds.
    fn inside(&self, namespace: &str) -> Vec<Arc<str>> {
        let held = self.nodes.iter().filter(|(_, node)| node.namespace_key().as_deref() == Some(namespace));
        held.map(|(key, _)| key.clone()).collect()
    }

    fn standing(&self, node: &Node, owner: &Owner) -> Standing {
        let (key, durability) = match node.place(owner) {
            Place::At(key, durability) => (key, durability),
            Place::Nowhere => return Standing::Solid,
        };
        match self.nodes.get(key.as_str()).filter(|found| found.uid == owner.uid) {
            Some(found) if found.closing == Closing::Foreground => Standing::Waiting,
            Some(_) => Standing::Solid,
            None if durability == Durability::Live && !self.settled => Standing::Solid,
            None => Standing::Gone,
        }
    }

    /// Whether something that an object owns keeps it from going. What itself waits for the object does not: a circle ends.
    fn is_blocked(&self, key: &Arc<str>, node: &Node) -> bool {
        let holds = |uid: &str, dependent: &Arc<str>| {
            let Some(found) = self.nodes.get(dependent) else { return false };
            let blocks = found.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion);
            (blocks || found.resource.durability == Durability::Live) && !self.waits_for(dependent, key)
        };
        let mut uids = self.inherited.get(key).into_iter().flatten().chain([&node.uid]);
        uids.any(|uid| self.dependents.get(uid).into_iter().flatten().any(|one| holds(uid, one)))
    }

    /// Whether an object is being deleted in the foreground, and so is all that leads from it, as owner, to the other one.
    fn waits_for(&self, waiting: &Arc<str>, other: &Arc<str>) -> bool {
        let (mut seen, mut next) = (HashSet::new(), vec![waiting.clone()]);
        while let Some(key) = next.pop() {
            if self.nodes.get(&key).is_some_and(|node| node.closing == Closing::Foreground) && seen.insert(key.clone())
            {
                if key == *other {
                    return true;
                }
                next.extend(self.dependents_of(&self.nodes[&key].uid));
            }
        }
        false
    }

    fn dependents_of(&self, uid: &str) -> Vec<Arc<str>> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Forgets an object that is gone. Answers what is to be judged: what it owned, and what may have waited for it.
    fn detach(&mut self, key: &Arc<str>, node: &Node) -> Vec<Arc<str>> {
        let mut due = self.dependents_of(&node.uid);
        let heirs = self.inherited.remove(key).unwrap_or_default();
        let owns_live = due
            .iter()
            .any(|one| self.nodes.get(one).is_some_and(|dependent| dependent.resource.durability == Durability::Live));
        let waiting = self.waiting_owners(node);
        for owner in &waiting {
            let inherited = self.inherited.entry(owner.clone()).or_default();
            inherited.extend(heirs.iter().cloned());
            if owns_live {
                inherited.insert(node.uid.clone());
            }
        }
        due.extend(waiting);
        due.extend(self.unlink(key, node));
        due
    }

    /// Takes an object out of what its owners own. Answers those that may have waited for it.
    fn unlink(&mut self, key: &Arc<str>, node: &Node) -> Vec<Arc<str>> {
        let mut due = self.waiting_owners(node);
        for owner in &node.owners {
            if let Some(all) = self.dependents.get_mut(&owner.uid) {
                all.remove(key);
                if all.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
            let heirs = self.inherited.iter().filter(|(_, uids)| uids.contains(&owner.uid));
            due.extend(heirs.map(|(heir, _)| heir.clone()));
        }
        due
    }

    /// Owners of an object that are being deleted.
    fn waiting_owners(&self, node: &Node) -> Vec<Arc<str>> {
        let key = |owner: &Owner| match node.place(owner) {
            Place::At(key, _) => {
                let (key, found) = self.nodes.get_key_value(key.as_str())?;
                (found.uid == owner.uid && found.closing != Closing::No).then(|| key.clone())
            }
            Place::Nowhere => None,
        };
        node.owners.iter().filter_map(key).collect()
    }
}

/// What becomes of an object that may go.
fn delete(node: &Node) -> Verdict {
    match (node.held, node.deleted) {
        (false, _) => Verdict::Delete,
        (true, false) => Verdict::Mark,
        (true, true) => Verdict::Keep,
    }
}
