use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{Compare, Op, Revision, StoreError, Versioned, event::Change, index::Index};

/// Transactions that are written together.
pub(super) struct Batch<'a> {
    index: &'a Index,
    revision: Revision,
    pending: Pending,
    changes: Vec<Change>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, revision: index.revision(), pending: Pending::new(), changes: Vec::new() }
    }

    /// Adds a transaction if its comparisons hold.
    pub(super) fn add(&mut self, compare: &[Compare], ops: Vec<Op>) -> Result<Revision, StoreError> {
        let revision = Revision(self.revision.0 + 1);
        let changes = self.index.with_map(|map| {
            check(map, &self.pending, compare).map(|()| changes_of(map, &self.pending, ops, revision))
        })?;
        if changes.is_empty() {
            return Ok(self.revision);
        }
        self.revision = revision;
        for change in changes {
            let now = change.value.clone().map(|value| Versioned { value, revision });
            self.pending.insert(change.key.clone(), now);
            self.changes.push(change);
        }
        Ok(revision)
    }

    /// What is to be made durable, and the revision after it.
    pub(super) fn into_changes(self) -> (Vec<Change>, Revision) {
        (self.changes, self.revision)
    }
}

/// What earlier transactions of a batch did to each key.
pub(super) type Pending = BTreeMap<Arc<str>, Option<Versioned>>;

fn current<'a>(map: &'a BTreeMap<Arc<str>, Versioned>, pending: &'a Pending, key: &str) -> Option<&'a Versioned> {
    match pending.get(key) {
        Some(changed) => changed.as_ref(),
        None => map.get(key),
    }
}

/// Whether all comparisons hold.
pub(super) fn check(
    map: &BTreeMap<Arc<str>, Versioned>,
    pending: &Pending,
    compare: &[Compare],
) -> Result<(), StoreError> {
    for expected in compare {
        let (key, wanted) = match expected {
            Compare::At(key, revision) => (key, Some(*revision)),
            Compare::Absent(key) => (key, None),
        };
        let current = current(map, pending, key).map(|held| held.revision);
        if current != wanted {
            return Err(StoreError::Conflict { key: key.clone(), current });
        }
    }
    Ok(())
}

/// What these operations change; a removal of what does not exist changes nothing.
pub(super) fn changes_of(
    map: &BTreeMap<Arc<str>, Versioned>,
    pending: &Pending,
    ops: Vec<Op>,
    revision: Revision,
) -> Vec<Change> {
    let change = |key: String, value: Option<Bytes>| {
        let previous = current(map, pending, &key).cloned();
        Change { key: key.into(), revision, value, previous }
    };
    let changes = ops.into_iter().map(|op| match op {
        // A copy, which takes no more memory than it needs: what was handed in may hold on to a larger piece.
        Op::Put(key, value) => change(key, Some(Bytes::copy_from_slice(&value))),
        Op::Delete(key) => change(key, None),
    });
    changes.filter(|change| change.value.is_some() || change.previous.is_some()).collect()
}
