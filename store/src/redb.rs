use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use super::{
    Compare, Op, Page, Revision, Store, StoreError, Versioned, Watch, check_limits,
    event::Change,
    index::{Index, LogLimit},
};
use crate::{
    OpenError,
    disk::{Commit, DiskError, File, Queue, QueueError},
    encryption::{self, EncryptionKeys, Failure},
};

/// The layout of the tables below. A file of another schema is refused.
const SCHEMA: u64 = 1;
/// The same with encrypted values, which versions that do not know of them would take for the values.
const ENCRYPTED_SCHEMA: u64 = 2;
/// What redb holds in memory of the file: little, as everything is read from the index.
const CACHE_BYTES: usize = 8 << 20;

/// Key to the revision that wrote it, and the value.
const KV: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("kv");
/// Revision and number within it, to key, value (none: removed) and what was there before.
const LOG: TableDefinition<(u64, u32), LogRecord> = TableDefinition::new("log");
/// `schema`, `revision` and `compacted`.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

type LogRecord = (&'static str, Option<&'static [u8]>, Option<(u64, &'static [u8])>);

/// The durable store: everything in memory for reading, and in a redb file before a write is answered.
///
/// One thread writes. It makes all transactions that wait durable with one `fsync`, then shows them to readers and
/// watchers, then answers.
#[derive(Debug)]
pub struct RedbStore {
    index: Arc<Index>,
    queue: Queue<Job>,
}

#[derive(Debug)]
struct Job {
    compare: Vec<Compare>,
    ops: Vec<Op>,
    answer: oneshot::Sender<Result<Revision, StoreError>>,
}

impl RedbStore {
    /// Opens a store, or makes it. The caller holds the data directory's lock.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_encrypted(path, EncryptionKeys::default())
    }

    /// As [`Self::open`], with all values encrypted by these keys. What another key encrypted, or none, is written anew.
    pub fn open_encrypted(path: &Path, keys: EncryptionKeys) -> Result<Self, OpenError> {
        encryption::reseal(path, CACHE_BYTES, &keys, |from, to| copy(from, to, &keys))?;
        Self::of_file(File::open(path, CACHE_BYTES)?, LogLimit::default(), keys)
    }

    pub(super) fn of_file(file: File, limit: LogLimit, keys: EncryptionKeys) -> Result<Self, OpenError> {
        initialise(&file)?;
        let path = file.path().to_owned();
        let index = file.load(|read| match load(&read, limit, &keys) {
            Ok(index) => Ok(Ok(index)),
            Err(Failure::Disk(error)) => Err(error),
            Err(Failure::Sealed(place, why)) => {
                Ok(Err(OpenError::Encrypted { path: path.clone(), place: Some(place), why }))
            }
        });
        let index = Arc::new(index??);
        let writer = Writer { file, index: index.clone(), keys };
        let queue = Queue::start("store-writer", writer)
            .map_err(|why| OpenError::Unusable { path, why: format!("no thread to write it: {why}") })?;
        Ok(Self { index, queue })
    }

    /// Writes what was handed over, and takes no more. Reads go on.
    pub fn close(&self) {
        self.queue.close();
    }
}

#[async_trait]
impl Store for RedbStore {
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
        let (answer, answered) = oneshot::channel();
        self.queue.push(Job { compare, ops, answer }).map_err(|error| match error {
            QueueError::Busy => StoreError::Busy,
            QueueError::Closed => StoreError::Closed,
        })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        Watch::of_index(self.index.clone(), prefix.to_owned(), from)
    }

    fn revision(&self) -> Revision {
        self.index.revision()
    }
}

/// The only writer of the file and of the index.
struct Writer {
    file: File,
    index: Arc<Index>,
    keys: EncryptionKeys,
}

impl Commit<Job> for Writer {
    fn commit(&mut self, jobs: Vec<Job>) {
        let mut batch = self.index.batch();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push((job.answer, batch.add(&job.compare, job.ops)));
        }
        let (changes, revision) = batch.into_changes();
        let written = if changes.is_empty() { Ok(()) } else { self.write(changes, revision) };
        for (answer, result) in answers {
            let failed = written.as_ref().err().cloned();
            // A conflict stays a conflict only if what it conflicted with was written too.
            let result = failed.map_or(result, Err);
            // Whoever asked may have gone away; what was written stays written.
            let _ = answer.send(result);
        }
    }
}

impl Writer {
    fn write(&self, changes: Vec<Change>, revision: Revision) -> Result<(), StoreError> {
        let compacted = self.index.compacted_after(&changes);
        let written = self.file.write(|transaction| put(transaction, &changes, revision, compacted, &self.keys));
        match written {
            Ok(()) => {
                self.index.apply(changes, revision);
                Ok(())
            }
            Err(error) => {
                // The disk may have kept the batch although it reported a failure: the file then has its revision.
                let landed = self.file.read(|read| read_meta(&read, "revision"));
                if landed.is_ok_and(|found| found == Some(revision.0)) {
                    self.index.apply(changes, revision);
                    return Ok(());
                }
                tracing::error!(%error, "objects could not be written");
                Err(error.into())
            }
        }
    }
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Full { path } => Self::DiskFull { path },
            DiskError::Failed { path, why } => Self::Failed { path, why },
        }
    }
}

/// Makes the tables in a new file; refuses a file of another schema.
fn initialise(file: &File) -> Result<(), OpenError> {
    let found = file.load(|read| match read.open_table(META) {
        Ok(meta) => Ok(meta.get("schema")?.map(|held| held.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    })?;
    match found {
        Some(SCHEMA | ENCRYPTED_SCHEMA) => Ok(()),
        Some(found) => Err(OpenError::Schema { path: file.path().to_owned(), found, known: SCHEMA }),
        None => {
            let made = file.write(|transaction| {
                transaction.open_table(KV)?;
                transaction.open_table(LOG)?;
                transaction.open_table(META)?.insert("schema", SCHEMA)?;
                Ok(())
            });
            made.map_err(|error| match error {
                DiskError::Full { .. } => OpenError::DiskFull { path: file.path().to_owned() },
                DiskError::Failed { why, .. } => OpenError::Unusable { path: file.path().to_owned(), why },
            })
        }
    }
}

fn put(
    transaction: &WriteTransaction,
    changes: &[Change],
    revision: Revision,
    compacted: Revision,
    keys: &EncryptionKeys,
) -> Result<(), redb::Error> {
    let mut kv = transaction.open_table(KV)?;
    let mut log = transaction.open_table(LOG)?;
    let mut meta = transaction.open_table(META)?;
    let mut number = 0;
    let mut last = Revision(0);
    for change in changes {
        number = if change.revision == last { number + 1 } else { 0 };
        last = change.revision;
        let seal = |value| keys.seal(&place(&change.key), value);
        let value = change.value.as_deref().map(seal);
        match value.as_deref() {
            Some(value) => drop(kv.insert(&*change.key, (change.revision.0, value))?),
            None => drop(kv.remove(&*change.key)?),
        }
        let previous = change.previous.as_ref().map(|held| (held.revision.0, seal(&held.value)));
        let previous = previous.as_ref().map(|(revision, value)| (*revision, &**value));
        log.insert((change.revision.0, number), (&*change.key, value.as_deref(), previous))?;
    }
    log.retain_in(..(compacted.0 + 1, 0), |_, _| false)?;
    meta.insert("revision", revision.0)?;
    meta.insert("compacted", compacted.0)?;
    Ok(())
}

/// What a value is bound to, where it is kept.
fn place(key: &str) -> [&str; 2] {
    ["store", key]
}

fn open(keys: &EncryptionKeys, key: &str, kept: &[u8]) -> Result<Bytes, Failure> {
    let opened = keys.open(&place(key), kept).map_err(|why| Failure::Sealed(format!("`{key}`"), why))?;
    Ok(Bytes::from(opened.into_owned()))
}

/// Copies all of a store into an empty file, sealed as these keys write.
fn copy(from: &ReadTransaction, to: &WriteTransaction, keys: &EncryptionKeys) -> Result<(), Failure> {
    let (mut kv, mut log, mut meta) = (to.open_table(KV)?, to.open_table(LOG)?, to.open_table(META)?);
    let found = match from.open_table(META) {
        // A new file.
        Err(redb::TableError::TableDoesNotExist(_)) => {
            meta.insert("schema", schema(keys))?;
            return Ok(());
        }
        found => found?,
    };
    for entry in found.iter()? {
        let (name, number) = entry?;
        meta.insert(name.value(), number.value())?;
    }
    // Another version's is refused when it is opened.
    if matches!(read_meta(from, "schema")?, Some(SCHEMA | ENCRYPTED_SCHEMA)) {
        meta.insert("schema", schema(keys))?;
    }
    for entry in from.open_table(KV)?.iter()? {
        let (key, held) = entry?;
        let ((revision, kept), key) = (held.value(), key.value());
        kv.insert(key, (revision, &*keys.seal(&place(key), &open(keys, key, kept)?)))?;
    }
    for entry in from.open_table(LOG)?.iter()? {
        let (at, record) = entry?;
        let (key, value, previous) = record.value();
        let again = |kept: &[u8]| Ok::<_, Failure>(keys.seal(&place(key), &open(keys, key, kept)?).into_owned());
        let value = value.map(again).transpose()?;
        let previous = previous.map(|(revision, kept)| Ok::<_, Failure>((revision, again(kept)?))).transpose()?;
        let previous = previous.as_ref().map(|(revision, value)| (*revision, &**value));
        log.insert(at.value(), (key, value.as_deref(), previous))?;
    }
    Ok(())
}

fn schema(keys: &EncryptionKeys) -> u64 {
    if keys.writer().is_some() { ENCRYPTED_SCHEMA } else { SCHEMA }
}

fn load(read: &ReadTransaction, limit: LogLimit, keys: &EncryptionKeys) -> Result<Index, Failure> {
    let mut map = BTreeMap::new();
    for entry in read.open_table(KV)?.iter()? {
        let (key, held) = entry?;
        let (revision, value) = held.value();
        let held = Versioned { value: open(keys, key.value(), value)?, revision: Revision(revision) };
        map.insert(Arc::from(key.value()), held);
    }
    let mut log = VecDeque::new();
    for entry in read.open_table(LOG)?.iter()? {
        let (at, record) = entry?;
        let (key, value, previous) = record.value();
        log.push_back(Change {
            key: key.into(),
            revision: Revision(at.value().0),
            value: value.map(|kept| open(keys, key, kept)).transpose()?,
            previous: previous
                .map(|(revision, kept)| {
                    Ok::<_, Failure>(Versioned { value: open(keys, key, kept)?, revision: Revision(revision) })
                })
                .transpose()?,
        });
    }
    let revision = Revision(read_meta(read, "revision")?.unwrap_or(0));
    let compacted = Revision(read_meta(read, "compacted")?.unwrap_or(0));
    Ok(Index::new(map, log, (compacted, revision), limit))
}

fn read_meta(read: &ReadTransaction, name: &str) -> Result<Option<u64>, redb::Error> {
    Ok(read.open_table(META)?.get(name)?.map(|held| held.value()))
}

#[cfg(test)]
pub(super) fn set_schema(path: &Path, schema: u64) {
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("schema", schema).unwrap();
    transaction.commit().unwrap();
}
