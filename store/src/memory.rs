use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use api::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Compare, Op, Page, Revision, Store, StoreError, Versioned, Watch, check_limits,
    index::{Index, LogLimit},
};

/// A store that lives as long as the process: for projections of the live state.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    index: Arc<Index>,
}

impl MemoryStore {
    /// An empty store. Its revisions start at the time it was made, in microseconds, so that they do not go back when
    /// the process starts again and watchers of the earlier one are told to list anew.
    pub fn new(now: Timestamp) -> Self {
        Self::with_log(now, LogLimit::default())
    }

    pub(super) fn with_log(now: Timestamp, limit: LogLimit) -> Self {
        let start = Revision(now.micros);
        Self { index: Arc::new(Index::new(BTreeMap::new(), VecDeque::new(), (start, start), limit)) }
    }

    /// Writes, whatever was there before.
    ///
    /// The value's size is the caller's to bound: projections are made from objects that were bounded when they were stored.
    pub fn put(&self, key: String, value: Bytes) -> Revision {
        self.unconditional(Op::Put(key, value))
    }

    /// Removes, if it is there.
    pub fn delete(&self, key: String) -> Revision {
        self.unconditional(Op::Delete(key))
    }

    /// What a key holds, without waiting.
    pub fn peek(&self, key: &str) -> Option<Versioned> {
        self.index.get(key)
    }

    /// The first objects under a prefix, in the order of their keys, without waiting.
    pub fn peek_all(&self, prefix: &str, limit: usize) -> Page {
        self.index.list(prefix, limit, None)
    }

    fn unconditional(&self, op: Op) -> Revision {
        match self.index.txn(&[], vec![op]) {
            Ok(revision) => revision,
            Err(_) => self.index.revision(),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        Ok(self.index.get(key))
    }

    async fn list(&self, prefix: &str, limit: usize, after: Option<&str>) -> Result<Page, StoreError> {
        Ok(self.index.list(prefix, limit, after))
    }

    async fn list_as_of(
        &self,
        at: Revision,
        prefix: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Option<Page>, StoreError> {
        Ok(self.index.list_as_of(at, prefix, limit, after))
    }

    async fn txn(&self, compare: Vec<Compare>, ops: Vec<Op>) -> Result<Revision, StoreError> {
        check_limits(&compare, &ops)?;
        self.index.txn(&compare, ops)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        Watch::of_index(self.index.clone(), prefix.to_owned(), from)
    }

    fn revision(&self) -> Revision {
        self.index.revision()
    }
}
