use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::{
    Compare, Item, Op, Page, Revision, StoreError, Versioned,
    batch::{Batch, Pending, changes_of, check},
    event::Change,
};

/// How much of the past is kept for watchers. Whoever is further behind must list again.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogLimit {
    /// Changes.
    pub(super) changes: usize,
    /// Bytes of keys and values, before and after.
    pub(super) bytes: usize,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { changes: 8192, bytes: 8 << 20 }
    }
}

/// How far a watcher is in the log. It holds no change itself: a watcher that is slow costs nothing, and lists again when the log
/// has gone on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Everything up to here was told.
    pub(super) told: Revision,
    /// So many changes of the next transaction were, too.
    pub(super) within: usize,
}

/// What a store holds, in memory: reads and watches are served from here, whatever makes it durable.
#[derive(Debug)]
pub(super) struct Index {
    state: RwLock<State>,
    /// Told after each change; watchers then read on in the log.
    changed: watch::Sender<Revision>,
    limit: LogLimit,
}

#[derive(Debug, Default)]
struct State {
    map: BTreeMap<Arc<str>, Versioned>,
    log: VecDeque<Change>,
    log_bytes: usize,
    revision: Revision,
    /// Changes up to this revision are no longer in the log.
    compacted: Revision,
}

impl Index {
    /// Starts with what was read back. `compacted` is the last revision that the log does not hold.
    pub(super) fn new(
        map: BTreeMap<Arc<str>, Versioned>,
        log: VecDeque<Change>,
        (compacted, revision): (Revision, Revision),
        limit: LogLimit,
    ) -> Self {
        let log_bytes = log.iter().map(Change::bytes).sum();
        let state = RwLock::new(State { map, log, log_bytes, revision, compacted });
        Self { state, changed: watch::Sender::new(revision), limit }
    }

    pub(super) fn revision(&self) -> Revision {
        self.state.read().revision
    }

    pub(super) fn get(&self, key: &str) -> Option<Versioned> {
        self.state.read().map.get(key).cloned()
    }

    pub(super) fn list(&self, prefix: &str, limit: usize, after: Option<&str>) -> Page {
        let state = self.state.read();
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found =
            state.map.range::<str, _>((start, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let items = found.by_ref().take(limit).map(|(key, held)| Item {
            key: key.clone(),
            value: held.value.clone(),
            revision: held.revision,
        });
        let items = items.collect();
        Page { items, revision: state.revision, remaining: found.count() }
    }

    /// As [`Self::list`] was at this revision. `None`: what has changed since is no longer, or not yet, known.
    pub(super) fn list_as_of(&self, at: Revision, prefix: &str, limit: usize, after: Option<&str>) -> Option<Page> {
        let state = self.state.read();
        if at < state.compacted || at > state.revision {
            return None;
        }
        let begins = |key: &str| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        // What each key that has changed since held: before the first of its changes.
        let mut before: BTreeMap<&str, (&Arc<str>, Option<&Versioned>)> = BTreeMap::new();
        let changed = state.log.range(state.log.partition_point(|change| change.revision <= at)..);
        for change in changed.filter(|change| begins(&change.key)) {
            before.entry(&change.key).or_insert((&change.key, change.previous.as_ref()));
        }
        let start = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let now = state.map.range::<str, _>((start, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let mut unchanged = now.filter(|(key, _)| !before.contains_key(&***key)).peekable();
        let mut changed = before.values().filter_map(|(key, held)| Some((*key, (*held)?))).peekable();
        let mut found = std::iter::from_fn(|| match (unchanged.peek(), changed.peek()) {
            (Some((here, _)), Some((there, _))) if here < there => unchanged.next(),
            (Some(_), None) => unchanged.next(),
            _ => changed.next(),
        });
        let item = |(key, held): (&Arc<str>, &Versioned)| Item {
            key: key.clone(),
            value: held.value.clone(),
            revision: held.revision,
        };
        let items = found.by_ref().take(limit).map(item).collect();
        Some(Page { items, revision: at, remaining: found.count() })
    }

    /// Tells of every later change.
    pub(super) fn subscribe(&self) -> watch::Receiver<Revision> {
        self.changed.subscribe()
    }

    /// The first change behind a place whose key begins so, and the place behind it. Without one the place is the end of the log.
    /// `None`: what comes behind the place is no longer, or not yet, known.
    pub(super) fn next_change(&self, place: Place, prefix: &str) -> Option<(Option<Change>, Place)> {
        let state = self.state.read();
        if place.told < state.compacted || place.told > state.revision {
            return None;
        }
        let mut first = state.log.partition_point(|change| change.revision <= place.told);
        let mut told = place.told;
        for at in first + place.within..state.log.len() {
            let change = &state.log[at];
            if state.log[first].revision < change.revision {
                (first, told) = (at, Revision(change.revision.0 - 1));
            }
            if change.key.starts_with(prefix) {
                let whole = state.log.get(at + 1).is_none_or(|next| next.revision > change.revision);
                let behind = if whole {
                    Place { told: change.revision, within: 0 }
                } else {
                    Place { told, within: at + 1 - first }
                };
                return Some((Some(change.clone()), behind));
            }
        }
        Some((None, Place { told: state.revision, within: 0 }))
    }

    /// Carries out a transaction at once.
    pub(super) fn txn(&self, compare: &[Compare], ops: Vec<Op>) -> Result<Revision, StoreError> {
        let mut state = self.state.write();
        let pending = Pending::new();
        check(&state.map, &pending, compare)?;
        let revision = state.revision;
        let changes = changes_of(&state.map, &pending, ops, Revision(revision.0 + 1));
        if changes.is_empty() {
            return Ok(revision);
        }
        let revision = Revision(revision.0 + 1);
        state.apply(changes, revision, self.limit);
        drop(state);
        self.changed.send_replace(revision);
        Ok(revision)
    }

    /// Prepares transactions against what is held and what the same batch has prepared before. The only writer calls it.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Looks at what is held, for [`Batch`].
    pub(super) fn with_map<T>(&self, look: impl FnOnce(&BTreeMap<Arc<str>, Versioned>) -> T) -> T {
        look(&self.state.read().map)
    }

    /// Makes prepared changes visible. The only writer calls it, once they are durable.
    pub(super) fn apply(&self, changes: Vec<Change>, revision: Revision) {
        self.state.write().apply(changes, revision, self.limit);
        self.changed.send_replace(revision);
    }

    /// The last revision that the log will not hold once these changes are in it.
    pub(super) fn compacted_after(&self, changes: &[Change]) -> Revision {
        let state = self.state.read();
        let mut count = state.log.len() + changes.len();
        let mut bytes = state.log_bytes + changes.iter().map(Change::bytes).sum::<usize>();
        let mut compacted = state.compacted;
        for change in state.log.iter().chain(changes) {
            if count <= self.limit.changes && bytes <= self.limit.bytes && change.revision > compacted {
                break;
            }
            count -= 1;
            bytes -= change.bytes();
            compacted = change.revision;
        }
        compacted
    }
}

impl State {
    fn apply(&mut self, changes: Vec<Change>, revision: Revision, limit: LogLimit) {
        for change in changes {
            match &change.value {
                Some(value) => {
                    let held = Versioned { value: value.clone(), revision: change.revision };
                    self.map.insert(change.key.clone(), held);
                }
                None => {
                    self.map.remove(&change.key);
                }
            }
            self.log_bytes += change.bytes();
            self.log.push_back(change);
        }
        self.revision = revision;
        self.trim(limit);
    }

    /// Forgets the oldest transactions, each as a whole.
    fn trim(&mut self, limit: LogLimit) {
        while let Some(oldest) = self.log.front() {
            let within = self.log.len() <= limit.changes && self.log_bytes <= limit.bytes;
            if within && oldest.revision > self.compacted {
                return;
            }
            self.compacted = oldest.revision;
            self.log_bytes -= oldest.bytes();
            self.log.pop_front();
        }
    }
}
