use std::{collections::BTreeMap, sync::Arc};

use api::{Bucket, KeyValueError, Refusals, Refused};
use bytes::Bytes;
use redb::{ReadableTable, Table};
use registry_client::DiskReserve;
use store::disk::{Commit, File};
use tokio::sync::oneshot;

use super::{
    limits::incremented,
    quota::{Quota, Usage},
    redb::{Entries, Key, USAGE},
};

/// A write that waits for the disk.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) bucket: Bucket,
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<Done, KeyValueError>>,
}

/// What it writes.
#[derive(Debug)]
pub(super) enum Change {
    Set(Vec<(String, Bytes)>),
    Delete(Vec<String>),
    Increment(String, i64),
    Swap(String, Option<Bytes>, Bytes),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Written,
    Sum(i64),
    /// A swap was refused: the key holds something else.
    Differs,
}

/// Makes writes durable, on the writer thread.
pub(super) struct Writer {
    pub(super) file: Arc<File>,
    pub(super) entries: Entries,
    pub(super) quota: Quota,
    pub(super) reserve: DiskReserve,
    pub(super) refused: Refusals,
}

impl Change {
    /// Bytes that it may add to the file.
    fn bytes(&self) -> u64 {
        match self {
            Self::Set(entries) => entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum(),
            Self::Swap(key, _, value) => (key.len() + value.len()) as u64,
            Self::Increment(key, _) => key.len() as u64,
            Self::Delete(_) => 0,
        }
    }
}

impl Commit<Job> for Writer {
    fn commit(&mut self, mut batch: Vec<Job>) {
        // Asked once for all of them. Deleting goes on below the reserve.
        if let Err(below) = self.reserve.check(batch.iter().map(|job| job.change.bytes()).sum()) {
            let refused = batch.extract_if(.., |job| !matches!(job.change, Change::Delete(_)));
            refused.for_each(|job| {
                self.refused.count(Refused::Write, "disk", &job.bucket.namespace);
                drop(job.answer.send(Err(KeyValueError::NoRoom(below.to_string()))));
            });
            if batch.is_empty() {
                return;
            }
        }
        let written = self.file.write(|transaction| {
            let mut tables = Tables {
                entries: transaction.open_table(self.entries)?,
                usage: transaction.open_table(USAGE)?,
                quota: self.quota,
                refused: &self.refused,
            };
            batch.iter().map(|job| tables.apply(&job.bucket, &job.change)).collect::<Result<Vec<_>, _>>()
        });
        // Whoever asked may have gone away; what was written stays written.
        match written {
            Ok(results) => {
                batch.into_iter().zip(results).for_each(|(job, result)| drop(job.answer.send(result)));
            }
            Err(error) => {
                tracing::error!(%error, "key-value entries could not be written");
                batch
                    .into_iter()
                    .for_each(|job| drop(job.answer.send(Err(KeyValueError::Store(error.without_path().to_owned())))));
            }
        }
    }
}

/// What a transaction writes to.
struct Tables<'a> {
    entries: Table<'a, Key, &'static [u8]>,
    usage: Table<'a, &'static str, (u64, u64)>,
    quota: Quota,
    refused: &'a Refusals,
}

/// The outer error is the disk's, the inner one the caller's.
type Applied<T> = Result<Result<T, KeyValueError>, redb::Error>;

impl Tables<'_> {
    /// One write, which sees those before it.
    fn apply(&mut self, bucket: &Bucket, change: &Change) -> Applied<Done> {
        match change {
            Change::Set(entries) => {
                // Of a key that is given twice the last value counts.
                let new = entries.iter().map(|(key, value)| (key.as_str(), &value[..])).collect();
                Ok(self.set(bucket, &new)?.map(|()| Done::Written))
            }
            Change::Delete(keys) => self.delete(bucket, keys),
            Change::Increment(key, delta) => {
                let stored = self.get(bucket, key)?;
                let sum = match incremented(key, stored.as_deref(), *delta) {
                    Ok(sum) => sum,
                    Err(error) => return Ok(Err(error)),
                };
                let set = self.set(bucket, &BTreeMap::from([(key.as_str(), sum.to_string().as_bytes())]))?;
                Ok(set.map(|()| Done::Sum(sum)))
            }
            Change::Swap(key, expected, value) => {
                let current = self.entries.get((bucket.namespace.as_str(), bucket.name.as_str(), key.as_str()))?;
                if current.as_ref().map(|held| held.value()) != expected.as_deref() {
                    return Ok(Ok(Done::Differs));
                }
                drop(current);
                Ok(self.set(bucket, &BTreeMap::from([(key.as_str(), &value[..])]))?.map(|()| Done::Written))
            }
        }
    }

    fn get(&self, bucket: &Bucket, key: &str) -> Result<Option<Bytes>, redb::Error> {
        let held = self.entries.get((bucket.namespace.as_str(), bucket.name.as_str(), key))?;
        Ok(held.map(|held| Bytes::copy_from_slice(held.value())))
    }

    /// Sets all of these, if the namespace may keep them.
    fn set(&mut self, bucket: &Bucket, new: &BTreeMap<&str, &[u8]>) -> Applied<()> {
        let (namespace, name) = (bucket.namespace.as_str(), bucket.name.as_str());
        let before = self.used(namespace)?;
        let (mut removed, mut added) = (Usage::default(), Usage::default());
        for (key, value) in new {
            if let Some(old) = self.entries.get((namespace, name, *key))? {
                removed.add(Usage::of(key, old.value().len()));
            }
            added.add(Usage::of(key, value.len()));
        }
        let mut after = before.without(removed);
        after.add(added);
        if let Err(refused) = self.quota.admit(self.refused, namespace, before, after) {
            return Ok(Err(refused));
        }
        for (key, value) in new {
            self.entries.insert((namespace, name, *key), *value)?;
        }
        self.uses(namespace, before, after)?;
        Ok(Ok(()))
    }

    fn delete(&mut self, bucket: &Bucket, keys: &[String]) -> Applied<Done> {
        let (namespace, name) = (bucket.namespace.as_str(), bucket.name.as_str());
        let mut removed = Usage::default();
        for key in keys {
            if let Some(old) = self.entries.remove((namespace, name, key.as_str()))? {
                removed.add(Usage::of(key, old.value().len()));
            }
        }
        let before = self.used(namespace)?;
        self.uses(namespace, before, before.without(removed))?;
        Ok(Ok(Done::Written))
    }

    fn used(&self, namespace: &str) -> Result<Usage, redb::Error> {
        let used = self.usage.get(namespace)?.map(|used| used.value());
        Ok(used.map_or_else(Usage::default, |(bytes, keys)| Usage { bytes, keys }))
    }

    fn uses(&mut self, namespace: &str, before: Usage, after: Usage) -> Result<(), redb::Error> {
        if after == Usage::default() {
            self.usage.remove(namespace)?;
        } else if after != before {
            self.usage.insert(namespace, (after.bytes, after.keys))?;
        }
        Ok(())
    }
}
