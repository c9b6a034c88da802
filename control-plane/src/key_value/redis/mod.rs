//! The store behind `wasi:keyvalue` in Redis, which each worker reaches by itself: it outlives the control plane.
//!
//! A bucket is a hash of its values, and a sorted set of its keys to list them in order. Both names have the same hash tag,
//! so that they are on the same node of a Redis Cluster. What touches both is one transaction or one script.

mod link;
mod scripts;
mod settings;

#[cfg(test)]
pub(super) mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use api::{Bucket, KeyValue, KeyValueError, Listing, outbound::Connect};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use redis::{FromRedisValue, Value, from_redis_value};

use super::limits::{MAX_BATCH_BYTES, MAX_PAGE, batch_too_large, check_entries, check_keys, check_value};
use link::{Link, Repeat, Request};

pub use settings::{InvalidRedis, RedisSettings};

/// What guests keep, in Redis. Whether a write that was answered survives a crash of Redis is Redis' to say: README.md tells
/// how to set it up.
///
/// One connection carries all operations. It is made when it is needed, and anew when it broke.
#[derive(Clone)]
pub struct RedisKeyValue(Arc<Link>);

/// The two names of a bucket in Redis.
struct Names {
    values: String,
    keys: String,
}

impl Names {
    /// A namespace has no slash and no brace in its name, so no two buckets share a name.
    fn of(bucket: &Bucket) -> Self {
        let name = |what: &str| format!("sampan:{{{}/{}}}:{what}", bucket.namespace, bucket.name);
        Self { values: name("values"), keys: name("keys") }
    }
}

impl RedisKeyValue {
    /// Connects nowhere yet, and through `connect` then, unless Redis listens at a Unix socket. To be called within the
    /// runtime that is to carry its connection.
    pub fn new(settings: RedisSettings, connect: Arc<dyn Connect>) -> Self {
        Self(Arc::new(Link::new(settings, connect)))
    }

    /// Makes the connection now, so that the log says at once if that is not possible.
    pub async fn connected(self) {
        // What fails is in the log.
        let _ = self.0.connect().await;
    }

    /// Asks, if what is asked for is within the limits, and reads the answer.
    fn ask<T: Send + 'static>(
        &self,
        checked: Result<(Repeat, Request), KeyValueError>,
        read: impl FnOnce(Value) -> Result<T, KeyValueError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, KeyValueError>> {
        let link = self.0.clone();
        async move {
            let (repeat, request) = checked?;
            read(link.run(repeat, &request).await?)
        }
        .boxed()
    }
}

fn parse<T: FromRedisValue>(value: Value) -> Result<T, KeyValueError> {
    from_redis_value(value).map_err(|error| KeyValueError::Store(format!("its answer cannot be read: {error}")))
}

impl KeyValue for RedisKeyValue {
    fn get(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let checked = check_keys(keys.iter()).map(|()| {
            let mut call = scripts::GET.key(Names::of(bucket).values);
            call.arg(MAX_BATCH_BYTES).arg(keys);
            (Repeat::Once, Request::Script(call))
        });
        self.ask(checked, |answer| match answer {
            Value::Int(bytes) => Err(batch_too_large(usize::try_from(bytes).unwrap_or(usize::MAX))),
            values => parse(values),
        })
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        if entries.is_empty() {
            return ready(Ok(())).boxed();
        }
        let checked = check_entries(&entries).map(|()| {
            let (names, mut both) = (Names::of(bucket), redis::pipe());
            both.atomic().cmd("HSET").arg(names.values);
            for (key, value) in &entries {
                both.arg(key).arg(&value[..]);
            }
            both.ignore().cmd("ZADD").arg(names.keys);
            for (key, _) in &entries {
                both.arg(0).arg(key);
            }
            both.ignore();
            (Repeat::Never, Request::Transaction(both))
        });
        self.ask(checked, |_| Ok(()))
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        if keys.is_empty() {
            return ready(Ok(())).boxed();
        }
        let checked = check_keys(keys.iter()).map(|()| {
            let (names, mut both) = (Names::of(bucket), redis::pipe());
            both.atomic().cmd("HDEL").arg(names.values).arg(&keys).ignore();
            both.cmd("ZREM").arg(names.keys).arg(&keys).ignore();
            (Repeat::Never, Request::Transaction(both))
        });
        self.ask(checked, |_| Ok(()))
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        let limit = limit.clamp(1, MAX_PAGE);
        // The last key of a page is where the next one starts, whatever has come and gone meanwhile.
        let after = cursor.map_or_else(|| "-".to_owned(), |cursor| format!("({cursor}"));
        let mut range = redis::cmd("ZRANGEBYLEX");
        range.arg(Names::of(bucket).keys).arg(after).arg("+").arg("LIMIT").arg(0).arg(limit + 1);
        self.ask(Ok((Repeat::Once, Request::Command(range))), move |answer| {
            let mut keys: Vec<String> = parse(answer)?;
            let more = keys.len() > limit;
            keys.truncate(limit);
            let cursor = if more { keys.last().cloned() } else { None };
            Ok(Listing { keys, cursor })
        })
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        let checked = check_keys([&key].into_iter()).map(|()| {
            let names = Names::of(bucket);
            let mut call = scripts::INCREMENT.key(names.values);
            call.key(names.keys).arg(&key).arg(delta);
            (Repeat::Never, Request::Script(call))
        });
        self.ask(checked, |answer| parse::<Option<i64>>(answer)?.ok_or(KeyValueError::NotANumber { key }))
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<Option<Option<Bytes>>, KeyValueError>> {
        let checked = check_keys([&key].into_iter()).and_then(|()| check_value(&value)).map(|()| {
            let names = Names::of(bucket);
            let mut call = scripts::SWAP.key(names.values);
            call.key(names.keys).arg(key).arg(&value[..]);
            if let Some(expected) = &expected {
                call.arg(&expected[..]);
            }
            (Repeat::Never, Request::Script(call))
        });
        // Nothing in the list when it was swapped.
        self.ask(checked, |answer| Ok(parse::<Vec<Option<Bytes>>>(answer)?.into_iter().next()))
    }
}
