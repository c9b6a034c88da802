use std::{collections::BTreeMap, path::Path, sync::Arc};

use api::{Bucket, KeyValue, KeyValueError, Listing, Refusals};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use registry_client::DiskReserve;
use store::{
    OpenError,
    disk::{DiskError, File, Queue, QueueError},
};
use tokio::sync::oneshot;

use super::{
    limits::{BYTES_IN_A_ROW, MAX_PAGE, check_entries, check_keys, check_read, check_value},
    quota::{Quota, Usage},
    writer::{Change, Done, Job, Writer},
};

/// Keys that are looked up without a pause. Whoever asks may do so on a thread that serves.
const KEYS_IN_A_ROW: usize = 32;

/// What redb holds in memory of the file.
pub(super) const CACHE_BYTES: usize = 64 << 20;

pub(super) type Key = (&'static str, &'static str, &'static str);
/// Namespace, bucket and key, to value.
pub(super) type Entries = TableDefinition<'static, Key, &'static [u8]>;
pub(super) const ENTRIES: Entries = TableDefinition::new("entries");
/// The entries of a file that is encrypted.
pub(super) const SEALED_ENTRIES: Entries = TableDefinition::new("sealed-entries");
/// What such a file has in the place of [`ENTRIES`]: for its type it is refused by versions that know of no encryption, and would
/// hand out what is sealed.
pub(super) const NO_ENTRIES: TableDefinition<&str, &str> = TableDefinition::new("entries");
/// Namespace to the bytes and keys that it keeps. Each write changes it in its own transaction.
pub(super) const USAGE: TableDefinition<&str, (u64, u64)> = TableDefinition::new("usage");

/// What guests keep, in a redb file of its own. A write that was answered survives a crash.
///
/// Reads look into the file, of which redb holds the pages that are used in memory. One thread writes: all writes that
/// wait are made durable with one `fsync`, in the order in which they came.
pub struct RedbKeyValue {
    file: Arc<File>,
    entries: Entries,
    queue: Queue<Job>,
    refused: Refusals,
}

/// What a namespace keeps in its stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceUsage {
    /// Which one.
    pub namespace: String,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

/// Namespaces that are told of at a time.
const MAX_TOLD: usize = 1024;

impl RedbKeyValue {
    /// Opens a store, or makes it. The caller holds the data directory's lock. Namespaces may keep what `quota` says; nothing is
    /// written while the disk is below its `reserve`.
    pub fn open(path: &Path, quota: Quota, reserve: DiskReserve) -> Result<Self, OpenError> {
        Self::of_file(File::open(path, CACHE_BYTES)?, quota, reserve)
    }

    pub(super) fn of_file(file: File, quota: Quota, reserve: DiskReserve) -> Result<Self, OpenError> {
        let path = file.path().to_owned();
        let unusable = |why: String| OpenError::Unusable { path: path.clone(), why };
        let file = Arc::new(file);
        let entries = file.load(|read| entries_of(&read))?;
        let table = file.write(|transaction| count_if_unknown(transaction, entries));
        table.map_err(|error| match error {
            DiskError::Full { .. } => OpenError::DiskFull { path: path.clone() },
            DiskError::Failed { why, .. } => unusable(why),
        })?;
        let refused = Refusals::default();
        let writer = Writer { file: file.clone(), entries, quota, reserve, refused: refused.clone() };
        let queue = Queue::start("key-value-writer", writer)
            .map_err(|why| unusable(format!("no thread to write it: {why}")))?;
        Ok(Self { file, entries, queue, refused })
    }

    /// Counts what it refuses.
    pub fn refused(&self) -> Refusals {
        self.refused.clone()
    }

    /// What namespaces keep, as far as they can be read and are not too many. It reads a few pages.
    pub fn usage(&self) -> Vec<NamespaceUsage> {
        let read = self.file.read(|read| {
            let table = read.open_table(USAGE)?;
            let told = table.iter()?.take(MAX_TOLD).map(|row| {
                let (namespace, usage) = row?;
                let (bytes, keys) = usage.value();
                Ok(NamespaceUsage { namespace: namespace.value().to_owned(), bytes, keys })
            });
            told.collect::<Result<Vec<_>, redb::Error>>()
        });
        read.unwrap_or_default()
    }

    /// Writes what was handed over, and takes no more. Reads go on.
    pub fn close(&self) {
        self.queue.close();
    }

    fn write<T: Send + 'static>(
        &self,
        bucket: &Bucket,
        checked: Result<Change, KeyValueError>,
        read_answer: fn(Done) -> T,
    ) -> BoxFuture<'static, Result<T, KeyValueError>> {
        let (answer, answered) = oneshot::channel();
        let queued = checked.and_then(|change| {
            let job = Job { bucket: bucket.clone(), change, answer };
            self.queue.push(job).map_err(|error| match error {
                QueueError::Busy => KeyValueError::Store("too many writes are waiting for the disk".to_owned()),
                QueueError::Closed => closed(),
            })
        });
        async move {
            queued?;
            answered.await.unwrap_or_else(|_| Err(closed())).map(read_answer)
        }
        .boxed()
    }
}

/// The table that holds a file's entries.
pub(super) fn entries_of(read: &ReadTransaction) -> Result<Entries, redb::Error> {
    match read.open_table(SEALED_ENTRIES) {
        Ok(_) => Ok(SEALED_ENTRIES),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(ENTRIES),
        Err(error) => Err(error.into()),
    }
}

/// Makes the tables. What each namespace keeps is counted if that is not known, as in a file of a version that did not count.
fn count_if_unknown(transaction: &WriteTransaction, entries: Entries) -> Result<(), redb::Error> {
    let entries = transaction.open_table(entries)?;
    let mut usage = transaction.open_table(USAGE)?;
    let mut counted = 0;
    for namespace in usage.iter()? {
        counted += namespace?.1.value().1;
    }
    if counted == entries.len()? {
        return Ok(());
    }
    let mut found: BTreeMap<String, Usage> = BTreeMap::new();
    for entry in entries.iter()? {
        let (key, value) = entry?;
        let (namespace, _, key) = key.value();
        found.entry(namespace.to_owned()).or_default().add(Usage::of(key, value.value().len()));
    }
    usage.retain(|_, _| false)?;
    for (namespace, Usage { bytes, keys }) in found {
        usage.insert(namespace.as_str(), (bytes, keys))?;
    }
    Ok(())
}

fn closed() -> KeyValueError {
    KeyValueError::Store("it is being closed".to_owned())
}

fn store_error(error: &DiskError) -> KeyValueError {
    tracing::error!(%error, "key-value entries could not be read");
    KeyValueError::Store(error.without_path().to_owned())
}

impl KeyValue for RedbKeyValue {
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let (file, bucket, entries) = (self.file.clone(), bucket.clone(), self.entries);
        async move {
            check_keys(keys.iter())?;
            // All of them are read as they are now.
            let table = file.read(|read| Ok(read.open_table(entries)?)).map_err(|error| store_error(&error))?;
            let mut values = Vec::with_capacity(keys.len());
            let (mut bytes, mut keys_in_a_row, mut bytes_in_a_row) = (0, 0, 0);
            for key in &keys {
                if keys_in_a_row == KEYS_IN_A_ROW || bytes_in_a_row > BYTES_IN_A_ROW {
                    tokio::task::yield_now().await;
                    (keys_in_a_row, bytes_in_a_row) = (0, 0);
                }
                let at = (bucket.namespace.as_str(), bucket.name.as_str(), key.as_str());
                let held = file.read_on(|| Ok(table.get(at)?)).map_err(|error| store_error(&error))?;
                let length = held.as_ref().map_or(0, |held| held.value().len());
                keys_in_a_row += 1;
                bytes_in_a_row += length;
                bytes += length;
                if length > BYTES_IN_A_ROW {
                    tokio::task::yield_now().await;
                }
                // Beyond the limit it is only counted.
                values.push(held.filter(|_| bytes <= limit_bytes).map(|held| Bytes::copy_from_slice(held.value())));
            }
            check_read(bytes, limit_bytes).map(|()| values)
        }
        .boxed()
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        let checked = check_entries(&entries).map(|()| Change::Set(entries));
        self.write(bucket, checked, |_| ())
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        let checked = check_keys(keys.iter()).map(|()| Change::Delete(keys));
        self.write(bucket, checked, |_| ())
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let listed = self.file.read(|read| {
            let table = read.open_table(self.entries)?;
            let (namespace, name) = (bucket.namespace.as_str(), bucket.name.as_str());
            let mut keys: Vec<String> = Vec::new();
            for entry in table.range((namespace, name, cursor.as_deref().unwrap_or_default())..)? {
                let (held, _) = entry?;
                let (of_namespace, of_bucket, key) = held.value();
                if of_namespace != namespace || of_bucket != name {
                    break;
                }
                if cursor.as_deref() == Some(key) {
                    continue;
                }
                if keys.len() == limit {
                    let cursor = keys.last().cloned();
                    return Ok(Listing { keys, cursor });
                }
                keys.push(key.to_owned());
            }
            Ok(Listing { keys, cursor: None })
        });
        ready(listed.map_err(|error| store_error(&error))).boxed()
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        let checked = check_keys([&key].into_iter()).map(|()| Change::Increment(key, delta));
        self.write(bucket, checked, |done| match done {
            Done::Sum(sum) => sum,
            // Only an increment asks for this, and it is answered with its sum.
            Done::Written | Done::Differs => 0,
        })
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        let checked = check_keys([&key].into_iter()).and_then(|()| check_value(&value));
        let checked = checked.map(|()| Change::Swap(key, expected, value));
        self.write(bucket, checked, |done| !matches!(done, Done::Differs))
    }
}
