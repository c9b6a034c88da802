use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use api::{Bucket, KeyValue, KeyValueError, Listing};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;

use super::limits::{MAX_PAGE, check_batch, check_entries, check_keys, check_value, incremented};

/// Namespace, bucket and key.
type FullKey = (String, String, String);

/// A key-value store that ends with the process.
#[derive(Debug, Clone, Default)]
pub struct MemoryKeyValue {
    entries: Arc<Mutex<BTreeMap<FullKey, Bytes>>>,
}

fn full(bucket: &Bucket, key: String) -> FullKey {
    (bucket.namespace.clone(), bucket.name.clone(), key)
}

fn answer<T: Send + 'static>(result: Result<T, KeyValueError>) -> BoxFuture<'static, Result<T, KeyValueError>> {
    ready(result).boxed()
}

impl KeyValue for MemoryKeyValue {
    fn get(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        answer(check_keys(keys.iter()).and_then(|()| {
            let entries = self.entries.lock();
            let values: Vec<_> = keys.into_iter().map(|key| entries.get(&full(bucket, key)).cloned()).collect();
            check_batch(values.iter().map(Option::as_ref))?;
            Ok(values)
        }))
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        answer(check_entries(&entries).map(|()| {
            let new = entries.into_iter().map(|(key, value)| (full(bucket, key), value));
            self.entries.lock().extend(new);
        }))
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        answer(check_keys(keys.iter()).map(|()| {
            let mut entries = self.entries.lock();
            for key in keys {
                entries.remove(&full(bucket, key));
            }
        }))
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let start = match cursor {
            Some(cursor) => Bound::Excluded(full(bucket, cursor)),
            None => Bound::Included(full(bucket, String::new())),
        };
        let entries = self.entries.lock();
        let of_bucket = entries
            .range((start, Bound::Unbounded))
            .take_while(|((namespace, name, _), _)| *namespace == bucket.namespace && *name == bucket.name);
        let mut keys: Vec<_> = of_bucket.take(limit + 1).map(|((_, _, key), _)| key.clone()).collect();
        let more = keys.len() > limit;
        keys.truncate(limit);
        let cursor = if more { keys.last().cloned() } else { None };
        answer(Ok(Listing { keys, cursor }))
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        let increment = || {
            check_keys([&key].into_iter())?;
            let mut entries = self.entries.lock();
            let at = full(bucket, key.clone());
            let sum = incremented(&key, entries.get(&at).map(|value| &value[..]), delta)?;
            entries.insert(at, Bytes::from(sum.to_string()));
            Ok(sum)
        };
        answer(increment())
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<Option<Option<Bytes>>, KeyValueError>> {
        let swap = || {
            check_keys([&key].into_iter())?;
            check_value(&value)?;
            let mut entries = self.entries.lock();
            let at = full(bucket, key);
            let current = entries.get(&at).cloned();
            if current != expected {
                return Ok(Some(current));
            }
            entries.insert(at, value);
            Ok(None)
        };
        answer(swap())
    }
}
