use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use api::{Bucket, KeyValue, KeyValueError, Listing, Refusals};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;

use super::{
    limits::{MAX_PAGE, check_entries, check_keys, check_read, check_value, incremented},
    quota::{Quota, Usage},
};

/// Namespace, bucket and key.
type FullKey = (String, String, String);

/// A key-value store that ends with the process.
#[derive(Debug, Clone, Default)]
pub struct MemoryKeyValue {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<FullKey, Bytes>,
    /// By namespace.
    usage: HashMap<String, Usage>,
    quota: Quota,
    refused: Refusals,
}

impl MemoryKeyValue {
    /// One whose namespaces may keep so much.
    pub fn new(quota: Quota) -> Self {
        Self { held: Arc::new(Mutex::new(Held { quota, ..Held::default() })) }
    }

    /// Counts what it refuses.
    pub fn refused(&self) -> Refusals {
        self.held.lock().refused.clone()
    }
}

impl Held {
    /// Sets all of these, if the namespace may keep them.
    fn set(&mut self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> Result<(), KeyValueError> {
        // Of a key that is given twice the last value counts.
        let new: BTreeMap<String, Bytes> = entries.into_iter().collect();
        let before = self.usage.get(&bucket.namespace).copied().unwrap_or_default();
        let (mut removed, mut added) = (Usage::default(), Usage::default());
        for (key, value) in &new {
            if let Some(old) = self.entries.get(&full(bucket, key.clone())) {
                removed.add(Usage::of(key, old.len()));
            }
            added.add(Usage::of(key, value.len()));
        }
        let mut after = before.without(removed);
        after.add(added);
        self.quota.admit(&self.refused, &bucket.namespace, before, after)?;
        self.usage.insert(bucket.namespace.clone(), after);
        self.entries.extend(new.into_iter().map(|(key, value)| (full(bucket, key), value)));
        Ok(())
    }
}

fn full(bucket: &Bucket, key: String) -> FullKey {
    (bucket.namespace.clone(), bucket.name.clone(), key)
}

fn answer<T: Send + 'static>(result: Result<T, KeyValueError>) -> BoxFuture<'static, Result<T, KeyValueError>> {
    ready(result).boxed()
}

impl KeyValue for MemoryKeyValue {
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        answer(check_keys(keys.iter()).and_then(|()| {
            let held = self.held.lock();
            let values: Vec<_> = keys.into_iter().map(|key| held.entries.get(&full(bucket, key)).cloned()).collect();
            check_read(values.iter().flatten().map(Bytes::len).sum(), limit_bytes)?;
            Ok(values)
        }))
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        answer(check_entries(&entries).and_then(|()| self.held.lock().set(bucket, entries)))
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        answer(check_keys(keys.iter()).map(|()| {
            let mut held = self.held.lock();
            let mut removed = Usage::default();
            for key in keys {
                let bytes = key.len();
                if let Some(old) = held.entries.remove(&full(bucket, key)) {
                    removed.add(Usage { bytes: (bytes + old.len()) as u64, keys: 1 });
                }
            }
            if let Some(usage) = held.usage.get_mut(&bucket.namespace) {
                *usage = usage.without(removed);
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
        let held = self.held.lock();
        let of_bucket = held
            .entries
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
            let mut held = self.held.lock();
            let stored = held.entries.get(&full(bucket, key.clone()));
            let sum = incremented(&key, stored.map(|value| &value[..]), delta)?;
            held.set(bucket, vec![(key, Bytes::from(sum.to_string()))])?;
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
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        let swap = || {
            check_keys([&key].into_iter())?;
            check_value(&value)?;
            let mut held = self.held.lock();
            if held.entries.get(&full(bucket, key.clone())) != expected.as_ref() {
                return Ok(false);
            }
            held.set(bucket, vec![(key, value)]).map(|()| true)
        };
        answer(swap())
    }
}
