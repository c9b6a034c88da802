use std::{path::Path, sync::Arc};

use api::{Bucket, KeyValue, KeyValueError, Listing};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use redb::{ReadableTable, Table, TableDefinition};
use tokio::sync::oneshot;

use super::limits::{MAX_PAGE, check_entries, check_keys, check_value, incremented};
use crate::{
    OpenError,
    disk::{Commit, DiskError, File, Queue, QueueError},
};

/// What redb holds in memory of the file.
const CACHE_BYTES: usize = 64 << 20;

type Key = (&'static str, &'static str, &'static str);
/// Namespace, bucket and key, to value.
const ENTRIES: TableDefinition<Key, &[u8]> = TableDefinition::new("entries");

/// What guests keep, in a redb file of its own. A write that was answered survives a crash.
///
/// Reads look into the file, of which redb holds the pages that are used in memory. One thread writes: all writes that
/// wait are made durable with one `fsync`, in the order in which they came.
#[derive(Debug)]
pub struct RedbKeyValue {
    file: Arc<File>,
    queue: Queue<Job>,
}

impl RedbKeyValue {
    /// Opens a store, or makes it. The caller holds the data directory's lock.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::of_file(File::open(path, CACHE_BYTES)?)
    }

    pub(super) fn of_file(file: File) -> Result<Self, OpenError> {
        let path = file.path().to_owned();
        let unusable = |why: String| OpenError::Unusable { path: path.clone(), why };
        let file = Arc::new(file);
        let table = file.write(|transaction| Ok(transaction.open_table(ENTRIES).map(drop)?));
        table.map_err(|error| match error {
            DiskError::Full { .. } => OpenError::DiskFull { path: path.clone() },
            DiskError::Failed { why, .. } => unusable(why),
        })?;
        let queue = Queue::start("key-value-writer", Writer { file: file.clone() })
            .map_err(|why| unusable(format!("no thread to write it: {why}")))?;
        Ok(Self { file, queue })
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

fn closed() -> KeyValueError {
    KeyValueError::Store("it is being closed".to_owned())
}

#[derive(Debug)]
struct Job {
    bucket: Bucket,
    change: Change,
    answer: oneshot::Sender<Result<Done, KeyValueError>>,
}

#[derive(Debug)]
enum Change {
    Set(Vec<(String, Bytes)>),
    Delete(Vec<String>),
    Increment(String, i64),
    Swap(String, Option<Bytes>, Bytes),
}

#[derive(Debug)]
enum Done {
    Written,
    Sum(i64),
    /// A swap was refused: this is what the key holds.
    Current(Option<Bytes>),
}

struct Writer {
    file: Arc<File>,
}

impl Commit<Job> for Writer {
    fn commit(&mut self, batch: Vec<Job>) {
        let written = self.file.write(|transaction| {
            let mut table = transaction.open_table(ENTRIES)?;
            batch.iter().map(|job| apply(&mut table, &job.bucket, &job.change)).collect::<Result<Vec<_>, _>>()
        });
        // Whoever asked may have gone away; what was written stays written.
        match written {
            Ok(results) => {
                batch.into_iter().zip(results).for_each(|(job, result)| drop(job.answer.send(result)));
            }
            Err(error) => {
                tracing::error!(%error, "key-value entries could not be written");
                batch.into_iter().for_each(|job| drop(job.answer.send(Err(store_error(&error)))));
            }
        }
    }
}

/// One write, which sees those before it. The outer error is the disk's, the inner one the caller's.
fn apply(
    table: &mut Table<'_, Key, &'static [u8]>,
    bucket: &Bucket,
    change: &Change,
) -> Result<Result<Done, KeyValueError>, redb::Error> {
    let at = |key: &'_ str| -> (String, String, String) {
        (bucket.namespace.clone(), bucket.name.clone(), key.to_owned())
    };
    let get = |table: &Table<'_, Key, &'static [u8]>, key: &str| -> Result<Option<Bytes>, redb::Error> {
        let (namespace, name, key) = at(key);
        let held = table.get((namespace.as_str(), name.as_str(), key.as_str()))?;
        Ok(held.map(|held| Bytes::copy_from_slice(held.value())))
    };
    let (namespace, name) = (bucket.namespace.as_str(), bucket.name.as_str());
    match change {
        Change::Set(entries) => {
            for (key, value) in entries {
                table.insert((namespace, name, key.as_str()), &value[..])?;
            }
        }
        Change::Delete(keys) => {
            for key in keys {
                table.remove((namespace, name, key.as_str()))?;
            }
        }
        Change::Increment(key, delta) => {
            let stored = get(table, key)?;
            let sum = match incremented(key, stored.as_deref(), *delta) {
                Ok(sum) => sum,
                Err(error) => return Ok(Err(error)),
            };
            table.insert((namespace, name, key.as_str()), sum.to_string().as_bytes())?;
            return Ok(Ok(Done::Sum(sum)));
        }
        Change::Swap(key, expected, value) => {
            let current = get(table, key)?;
            if current != *expected {
                return Ok(Ok(Done::Current(current)));
            }
            table.insert((namespace, name, key.as_str()), &value[..])?;
        }
    }
    Ok(Ok(Done::Written))
}

fn store_error(error: &DiskError) -> KeyValueError {
    KeyValueError::Store(error.to_string())
}

impl KeyValue for RedbKeyValue {
    fn get(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let read = || {
            check_keys(keys.iter())?;
            let read = self.file.read(|read| {
                let table = read.open_table(ENTRIES)?;
                let value = |key: &String| {
                    let held = table.get((bucket.namespace.as_str(), bucket.name.as_str(), key.as_str()))?;
                    Ok(held.map(|held| Bytes::copy_from_slice(held.value())))
                };
                keys.iter().map(value).collect()
            });
            read.map_err(|error| store_error(&error))
        };
        ready(read()).boxed()
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
            let table = read.open_table(ENTRIES)?;
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
            Done::Written | Done::Current(_) => 0,
        })
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<Option<Option<Bytes>>, KeyValueError>> {
        let checked = check_keys([&key].into_iter()).and_then(|()| check_value(&value));
        let checked = checked.map(|()| Change::Swap(key, expected, value));
        self.write(bucket, checked, |done| match done {
            Done::Current(current) => Some(current),
            Done::Written | Done::Sum(_) => None,
        })
    }
}
