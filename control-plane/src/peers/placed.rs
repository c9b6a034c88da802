use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use api::{Bucket, Digest, ObjectKey, ReplicaId, Timestamp, replica::ReplicaSpec};

use super::noted::{MAX_IMAGES, Noted};

/// What a replica still asks as it stops has so long beyond its grace.
const AFTER_GRACE: Duration = Duration::from_secs(5);
/// What is said last of a replica, such as lines of its log, has so long to come.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// What was placed on one worker.
#[derive(Debug, Default)]
pub(super) struct Placed {
    replicas: HashMap<ReplicaId, Replica>,
    by_namespace: HashMap<String, HashSet<ReplicaId>>,
    by_digest: HashMap<Digest, HashSet<ReplicaId>>,
    /// Images of which a replica was placed here, in this life or before.
    images: BTreeSet<Digest>,
    /// Counts what may have changed whose replicas run.
    changes: u64,
    /// Whether something has changed since it was written down.
    unwritten: bool,
}

#[derive(Debug)]
struct Replica {
    revision: ObjectKey,
    digest: Digest,
    /// The stores that it is granted.
    stores: Vec<String>,
    /// When it may ask nothing any more; `None`: it is placed here.
    ends: Option<Timestamp>,
    /// Whether the worker has been told to stop it: being told again gives it no more time.
    told: bool,
    /// Since when it has stopped, as the worker says.
    stopped: Option<Timestamp>,
}

/// What follows from it that a worker runs a replica that was once placed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is placed there.
    Holds,
    /// Whether it is still to run there is for the scheduler to say.
    Open,
    /// It was told to stop, or said that it had.
    Over,
}

impl Placed {
    pub(super) fn place(&mut self, spec: &ReplicaSpec) {
        self.remove(&spec.id);
        let (id, digest, stores) = (spec.id.clone(), spec.digest.clone(), spec.grants.key_value.clone());
        self.by_namespace.entry(id.0.namespace.to_string()).or_default().insert(id.clone());
        self.by_digest.entry(digest.clone()).or_default().insert(id.clone());
        let revision = ObjectKey::new(id.0.namespace.clone(), spec.revision.as_str());
        self.remember(digest.clone());
        self.replicas.insert(id, Replica { revision, digest, stores, ends: None, told: false, stopped: None });
        self.changes += 1;
        self.unwritten = true;
    }

    pub(super) fn stop(&mut self, id: &ReplicaId, ends: Timestamp) {
        if let Some(replica) = self.replicas.get_mut(id).filter(|replica| !replica.told && replica.stopped.is_none()) {
            replica.told = true;
            replica.ends = Some(ends + AFTER_GRACE);
            self.unwritten = true;
        }
    }

    pub(super) fn take_away(&mut self, id: &ReplicaId, now: Timestamp) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.ends.get_or_insert(now);
            self.changes += 1;
        }
    }

    pub(super) fn stopped(&mut self, id: &ReplicaId, now: Timestamp) {
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.ends = Some(replica.ends.map_or(now, |ends| ends.min(now)));
            replica.stopped.get_or_insert(now);
            self.changes += 1;
            self.unwritten = true;
        }
    }

    /// The worker begins a session in which it runs these. Of the others, what is to run no more has ended.
    pub(super) fn runs(&mut self, running: &HashSet<ReplicaId>, now: Timestamp) {
        for (id, replica) in &mut self.replicas {
            if replica.ends.is_some() && !running.contains(id) {
                replica.stopped.get_or_insert(now);
            }
        }
        self.unwritten = true;
    }

    /// An image was here: that it is compiled here may be believed.
    pub(super) fn remember(&mut self, image: Digest) {
        self.images.insert(image);
        while self.images.len() > MAX_IMAGES {
            // What runs here stays.
            let Some(spare) = self.images.iter().find(|image| !self.by_digest.contains_key(*image)).cloned() else {
                break;
            };
            self.images.remove(&spare);
        }
    }

    pub(super) fn had_image(&self, image: &Digest) -> bool {
        self.images.contains(image)
    }

    /// What is to be written down of it as of a moment, if something has changed since it was last asked.
    pub(super) fn news(&mut self, up_to: Timestamp) -> Option<Noted> {
        if !std::mem::take(&mut self.unwritten) {
            return None;
        }
        let over = |replica: &Replica| replica.told || replica.stopped.is_some();
        let placed = self.replicas.iter().filter(|(_, replica)| !over(replica)).map(|(id, _)| id);
        let images = self.images.iter().take(MAX_IMAGES).cloned().collect();
        Some(Noted::new(up_to, placed, images))
    }

    pub(super) fn is_written(&self) -> bool {
        !self.unwritten
    }

    /// What is known of a replica that was placed here in this life.
    pub(super) fn claim(&self, id: &ReplicaId) -> Claim {
        match self.replicas.get(id) {
            Some(Replica { told: false, stopped: None, ends: None, .. }) => Claim::Holds,
            // It was given up while its worker was away, which has not been told yet.
            Some(Replica { told: false, stopped: None, ends: Some(_), .. }) => Claim::Open,
            Some(_) | None => Claim::Over,
        }
    }

    /// Forgets what has had its last words.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let long_ago = |at: Option<Timestamp>| at.is_some_and(|at| now.since(at) > LAST_WORDS);
        let over = |replica: &Replica| long_ago(replica.stopped) || (replica.told && long_ago(replica.ends));
        let gone: Vec<ReplicaId> =
            self.replicas.iter().filter(|(_, replica)| over(replica)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    /// Whether a replica that may run is granted a store.
    pub(super) fn may_use(&self, bucket: &Bucket, now: Timestamp) -> bool {
        let here = self.by_namespace.get(&bucket.namespace).into_iter().flatten();
        here.filter_map(|id| self.replicas.get(id)).any(|it| it.may_run(now) && it.stores.contains(&bucket.name))
    }

    /// Whether a replica that may run is of an image.
    pub(super) fn may_have(&self, digest: &Digest, now: Timestamp) -> bool {
        let here = self.by_digest.get(digest).into_iter().flatten();
        here.filter_map(|id| self.replicas.get(id)).any(|replica| replica.may_run(now))
    }

    /// Whether a replica was placed here and may be spoken of.
    pub(super) fn knows(&self, id: &ReplicaId) -> bool {
        self.replicas.contains_key(id)
    }

    pub(super) fn knows_image(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    pub(super) fn is_used(&self, now: Timestamp) -> bool {
        self.replicas.values().any(|replica| replica.may_run(now))
    }

    /// The revisions of what may run.
    pub(super) fn guests(&self, now: Timestamp) -> BTreeSet<ObjectKey> {
        self.replicas.values().filter(|replica| replica.may_run(now)).map(|replica| replica.revision.clone()).collect()
    }

    /// Another number once something was placed here or has ended.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    fn remove(&mut self, id: &ReplicaId) {
        let Some(replica) = self.replicas.remove(id) else { return };
        self.changes += 1;
        if let Some(there) = self.by_namespace.get_mut(&*id.0.namespace) {
            there.remove(id);
            if there.is_empty() {
                self.by_namespace.remove(&*id.0.namespace);
            }
        }
        if let Some(there) = self.by_digest.get_mut(&replica.digest) {
            there.remove(id);
            if there.is_empty() {
                self.by_digest.remove(&replica.digest);
            }
        }
    }
}

impl Replica {
    fn may_run(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}
