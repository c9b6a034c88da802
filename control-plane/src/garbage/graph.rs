//! Who owns whom, and what is to become of an object. Pure.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;

use super::node::{Closing, Node, Owner, Place};
use crate::{resources::Durability, store::Revision};

/// What is to become of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays as it is.
    Keep,
    /// All of its owners are gone.
    Delete,
    /// Its owners are being deleted, and it has dependents itself that it is to wait for.
    Close,
    /// Owners with these uids are gone or going, others are not: it forgets those.
    Release(Vec<String>),
    /// It is being deleted, and these are to forget it first.
    OrphanDependents(Vec<Arc<str>>),
    /// It is being deleted, and nothing is left that it waits for.
    Finish,
}

/// The objects of both stores.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Arc<str>, Node>,
    /// Keys of objects, by the uid of an owner.
    dependents: HashMap<String, BTreeSet<Arc<str>>>,
    /// Of objects that are deleted in the foreground: what they owned that is gone, and itself owns what is live.
    inherited: HashMap<Arc<str>, HashSet<String>>,
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
        self.detach(key, &node)
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
        all.filter(|(_, node)| !node.owners.is_empty() || node.closing != Closing::No)
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(super) fn revision(&self, key: &str) -> Option<Revision> {
        self.nodes.get(key).map(|node| node.revision)
    }

    pub(super) fn uid(&self, key: &str) -> Option<&str> {
        self.nodes.get(key).map(|node| node.uid.as_str())
    }

    /// What is to become of an object.
    pub(super) fn judge(&self, key: &Arc<str>) -> Verdict {
        let Some(node) = self.nodes.get(key).filter(|node| node.is_collected()) else { return Verdict::Keep };
        match node.closing {
            Closing::Foreground if self.is_held(key, node) => return Verdict::Keep,
            Closing::Foreground => return Verdict::Finish,
            Closing::Orphan => {
                let mut dependents = self.dependents_of(&node.uid);
                dependents.retain(|key| self.nodes.get(key).is_some_and(Node::is_collected));
                return if dependents.is_empty() { Verdict::Finish } else { Verdict::OrphanDependents(dependents) };
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
            (false, true, _) if self.is_held(key, node) => Verdict::Close,
            (false, ..) => Verdict::Delete,
        }
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

    /// Whether something that an object owns keeps it from going.
    fn is_held(&self, key: &Arc<str>, node: &Node) -> bool {
        let holds = |uid: &str, dependent: &Arc<str>| {
            let Some(dependent) = self.nodes.get(dependent) else { return false };
            let blocks = dependent.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion);
            blocks || dependent.resource.durability == Durability::Live
        };
        let mut uids = self.inherited.get(key).into_iter().flatten().chain([&node.uid]);
        uids.any(|uid| self.dependents.get(uid).into_iter().flatten().any(|one| holds(uid, one)))
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
