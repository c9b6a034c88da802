use std::sync::Arc;

use bytes::Bytes;

use super::{Revision, Versioned};

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// A key was written.
    Put {
        /// Which key.
        key: Arc<str>,
        /// What it holds now.
        value: Bytes,
        /// The transaction that wrote it.
        revision: Revision,
        /// What it held before; `None`: it is new.
        previous: Option<Versioned>,
    },
    /// A key that existed was removed.
    Delete {
        /// Which key.
        key: Arc<str>,
        /// The transaction that removed it.
        revision: Revision,
        /// What it held before.
        previous: Versioned,
    },
    /// Everything up to this revision has been told. Comes once when the watcher has caught up, and then from time to time.
    Progress(Revision),
    /// What comes next is no longer kept, so the watcher must list again. The stream ends.
    Compacted,
}

/// One change as it is kept in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: Arc<str>,
    pub(super) revision: Revision,
    /// `None`: removed.
    pub(super) value: Option<Bytes>,
    pub(super) previous: Option<Versioned>,
}

impl Change {
    /// What it weighs against the log's limit.
    pub(super) fn bytes(&self) -> usize {
        self.key.len()
            + self.value.as_ref().map_or(0, Bytes::len)
            + self.previous.as_ref().map_or(0, |previous| previous.value.len())
    }

    /// As a watcher is told it. A removal of what did not exist is no change, and never comes here.
    pub(super) fn to_event(&self) -> Option<WatchEvent> {
        let (key, revision) = (self.key.clone(), self.revision);
        match (&self.value, &self.previous) {
            (Some(value), previous) => {
                Some(WatchEvent::Put { key, value: value.clone(), revision, previous: previous.clone() })
            }
            (None, Some(previous)) => Some(WatchEvent::Delete { key, revision, previous: previous.clone() }),
            (None, None) => None,
        }
    }
}
