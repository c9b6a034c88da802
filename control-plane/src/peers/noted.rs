use std::collections::BTreeSet;

use api::{Digest, ReplicaId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Under which it is in the store, by the worker's name: no kind of the API.
pub(super) const PLURAL: &str = "placements";
/// Placements of one worker that are written down at most, so that the record fits into the store.
const MAX_PLACED: usize = 40_000;
/// Images that are remembered of one worker.
pub(super) const MAX_IMAGES: usize = 1000;

/// What was placed on a worker when it was last written down. A later life of the control plane takes no more for placed there than
/// this and what was placed afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Noted {
    /// Placements up to this moment are among `placed`, or over.
    up_to: Timestamp,
    /// Marks of the replicas.
    placed: BTreeSet<u64>,
    /// Images of which a replica was placed there, once.
    pub(super) images: BTreeSet<Digest>,
}

impl Noted {
    pub(super) fn new<'a>(
        up_to: Timestamp,
        placed: impl Iterator<Item = &'a ReplicaId>,
        images: BTreeSet<Digest>,
    ) -> Self {
        Self { up_to, placed: placed.take(MAX_PLACED).map(mark).collect(), images }
    }

    /// Until when all is in it.
    pub(super) fn up_to(&self) -> Timestamp {
        self.up_to
    }

    /// Whether a replica that was placed at a moment may still have been there.
    pub(super) fn may_have(&self, id: &ReplicaId, at: Timestamp) -> bool {
        at > self.up_to || self.placed.contains(&mark(id))
    }
}

/// Tells replicas apart, in little room.
fn mark(id: &ReplicaId) -> u64 {
    let hash = Sha256::digest(id.to_string());
    u64::from_be_bytes(*hash.first_chunk().expect("a hash is longer"))
}

#[cfg(test)]
mod tests {
    use api::ObjectKey;

    use super::*;

    #[test]
    fn what_was_over_when_it_was_written_down_stays_so_and_what_came_later_may_be_there() {
        let id = |name: &str| ReplicaId(ObjectKey::new("shop", name));
        let (before, then, after) = (Timestamp::from_secs(1), Timestamp::from_secs(2), Timestamp::from_secs(3));
        let noted = Noted::new(then, [id("runs")].iter(), BTreeSet::new());
        let read: Noted = serde_json::from_slice(&serde_json::to_vec(&noted).unwrap()).unwrap();
        assert!(read.may_have(&id("runs"), before));
        assert!(!read.may_have(&id("moved-away"), before) && !read.may_have(&id("moved-away"), then));
        assert!(read.may_have(&id("came-later"), after));
    }
}
