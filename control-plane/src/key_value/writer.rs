use std::sync::Arc;

use api::{Bucket, KeyValueError};
use bytes::Bytes;
use redb::{ReadableTable, Table};
use tokio::sync::oneshot;

use super::{
    limits::incremented,
    redb::{ENTRIES, Key},
};
use crate::disk::{Commit, File};

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
    /// A swap was refused: this is what the key holds.
    Current(Option<Bytes>),
}

/// Makes writes durable, on the writer thread.
pub(super) struct Writer {
    pub(super) file: Arc<File>,
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
                batch.into_iter().for_each(|job| drop(job.answer.send(Err(KeyValueError::Store(error.to_string())))));
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
    let get = |table: &Table<'_, Key, &'static [u8]>, key: &str| -> Result<Option<Bytes>, redb::Error> {
        let held = table.get((bucket.namespace.as_str(), bucket.name.as_str(), key))?;
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
