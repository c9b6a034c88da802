//! The trait, and what is said through it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Watch;

/// Counts the transactions of one store; it never goes back, and is never stored inside a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A value and the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What was written.
    pub value: Bytes,
    /// The transaction that wrote it.
    pub revision: Revision,
}

/// A key and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Arc<str>,
    /// What was written.
    pub value: Bytes,
    /// The transaction that wrote it.
    pub revision: Revision,
}

/// Part of a listing, in ascending order of keys.
///
/// To read on, ask for what comes after the last key: either as it is by then, or as it was at the revision of the first page.
/// A watcher that starts from the revision of the *first* page misses nothing either way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What was found.
    pub items: Vec<Item>,
    /// The revision at which it was read.
    pub revision: Revision,
    /// How many more there are after the last of these.
    pub remaining: usize,
}

/// What must hold for a transaction to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key was last written by this transaction.
    At(String, Revision),
    /// The key does not exist.
    Absent(String),
}

/// What a transaction does. A key may be named once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Write it.
    Put(String, Bytes),
    /// Remove it; fine if it does not exist.
    Delete(String),
}

/// The largest value. As etcd's: objects are small, and each is held in memory.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// The longest key.
pub const MAX_KEY_BYTES: usize = 1024;
/// Comparisons and operations of one transaction together.
pub const MAX_TXN: usize = 128;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A comparison did not hold; nothing was done.
    #[error("`{key}` was changed in between")]
    Conflict {
        /// Which key.
        key: String,
        /// Where it stands now; `None`: it does not exist.
        current: Option<Revision>,
    },
    /// A key, value or transaction is larger than allowed; nothing was done.
    #[error("{what} of {size} is larger than the limit of {limit}")]
    TooLarge {
        /// What is too large: a key, a value or a transaction.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// More writes wait than are allowed; nothing was done.
    #[error("too many writes are waiting for the disk: try again in a moment")]
    Busy,
    /// The disk is full; nothing was done. Reads go on.
    #[error("the disk that holds {path} is full: free some space and try again")]
    DiskFull {
        /// Which file.
        path: String,
    },
    /// The file could not be written; nothing was done. Reads go on.
    #[error("{path} could not be written: {why}")]
    Failed {
        /// Which file.
        path: String,
        /// What the system said.
        why: String,
    },
    /// The store is being closed.
    #[error("the store is being closed")]
    Closed,
}

/// Keys to bytes, with one global revision.
///
/// Reads are answered from memory, and see every write that was answered. A write that was answered is as durable as the
/// store is. [`StoreError::Conflict`] is the only error of a transaction that says anything about the stored data.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What a key holds.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// At most `limit` items whose keys start with `prefix` and, if given, come after `after`.
    async fn list(&self, prefix: &str, limit: usize, after: Option<&str>) -> Result<Page, StoreError>;

    /// As [`Store::list`] was at an earlier revision. `None`: what has changed since then is no longer known, as for a
    /// watcher that is too far behind.
    async fn list_as_of(
        &self,
        at: Revision,
        prefix: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Option<Page>, StoreError>;

    /// Carries out all operations if all comparisons hold, as one revision. Without operations it only compares,
    /// and answers the current revision.
    async fn txn(&self, compare: Vec<Compare>, ops: Vec<Op>) -> Result<Revision, StoreError>;

    /// Every change after `from` to keys that start with `prefix`, in order, for ever. See [`crate::WatchEvent`].
    fn watch(&self, prefix: &str, from: Revision) -> Watch;

    /// The revision of the last transaction.
    fn revision(&self) -> Revision;
}

/// Checks the named limits; every store does so first.
pub(crate) fn check_limits(compare: &[Compare], ops: &[Op]) -> Result<(), StoreError> {
    let within =
        |what, size, limit| if size > limit { Err(StoreError::TooLarge { what, size, limit }) } else { Ok(()) };
    within("a transaction", compare.len() + ops.len(), MAX_TXN)?;
    for op in ops {
        let (key, bytes) = match op {
            Op::Put(key, value) => (key, value.len()),
            Op::Delete(key) => (key, 0),
        };
        within("a key", key.len(), MAX_KEY_BYTES)?;
        within("an object", bytes, MAX_VALUE_BYTES)?;
    }
    Ok(())
}
