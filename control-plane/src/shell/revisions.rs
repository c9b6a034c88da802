use std::collections::BTreeMap;

use api::ObjectKey;
use scheduler::Revision;

/// The identities of revisions: they are known before a ReplicaSet is written, and Pods name them as their owners.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    known: BTreeMap<ObjectKey, Known>,
}

#[derive(Debug)]
struct Known {
    uid: String,
    /// The Deployment that owns it, and that one's uid.
    owner: Option<(ObjectKey, String)>,
}

impl Revisions {
    /// A ReplicaSet is in the store.
    pub(super) fn stored(&mut self, key: ObjectKey, uid: &str, owner: Option<(ObjectKey, String)>) {
        self.known.insert(key, Known { uid: uid.to_owned(), owner });
    }

    /// The scheduler made or changed a revision. Its identity stays, unless it has another owner now.
    pub(super) fn decided(&mut self, revision: &Revision, owner_uid: &str, uid: impl FnOnce() -> String) {
        let owner = revision.deployment.clone().map(|deployment| (deployment, owner_uid.to_owned()));
        match self.known.get(&revision.key) {
            Some(known) if known.owner == owner || owner.is_none() => {}
            _ => {
                self.known.insert(revision.key.clone(), Known { uid: uid(), owner });
            }
        }
    }

    pub(super) fn uid(&self, key: &ObjectKey) -> Option<&str> {
        self.known.get(key).map(|known| known.uid.as_str())
    }

    /// The Deployment that a revision is of.
    pub(super) fn owner(&self, key: &ObjectKey) -> Option<&ObjectKey> {
        self.known.get(key)?.owner.as_ref().map(|(deployment, _)| deployment)
    }

    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.known.remove(key);
    }

    /// A Deployment's revisions are their own from now on.
    pub(super) fn release_owned(&mut self, deployment: &ObjectKey) {
        for known in self.known.values_mut() {
            if known.owner.as_ref().is_some_and(|(owner, _)| owner == deployment) {
                known.owner = None;
            }
        }
    }

    /// Forgets a Deployment's revisions, and answers them.
    pub(super) fn forget_owned(&mut self, deployment: &ObjectKey) -> Vec<ObjectKey> {
        let is_owned = |known: &Known| known.owner.as_ref().is_some_and(|(owner, _)| owner == deployment);
        let owned: Vec<_> =
            self.known.iter().filter(|(_, known)| is_owned(known)).map(|(key, _)| key.clone()).collect();
        for key in &owned {
            self.known.remove(key);
        }
        owned
    }
}
