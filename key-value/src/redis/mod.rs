//! The store behind `wasi:keyvalue` in Redis, which each worker reaches by itself: it outlives the control plane.
//!
//! A bucket is a hash of its values, and a sorted set of its keys to list them in order. Beside the buckets of a namespace is a
//! hash of what it keeps in all of them. What touches more than one of these is one script.

mod link;
mod scripts;
mod settings;

#[cfg(test)]
pub(super) mod server;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use api::{Bucket, KeyValue, KeyValueError, Listing, Refusals, outbound::Connect};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use redis::{FromRedisValue, Script, ScriptInvocation, Value, from_redis_value};

use super::{
    limits::{MAX_PAGE, check_entries, check_keys, check_read, check_value},
    quota::{Part, Quota},
};
use link::{Link, Repeat, Request};

pub use settings::{InvalidRedis, RedisSettings};

/// What guests keep, in Redis. Whether a write that was answered survives a crash of Redis is Redis' to say: the book tells
/// how to set it up.
///
/// One connection carries all operations. It is made when it is needed, and anew when it broke.
#[derive(Clone)]
pub struct RedisKeyValue {
    link: Arc<Link>,
    quota: Quota,
    refused: Refusals,
}

/// The names in Redis of a bucket, and of what its namespace keeps.
struct Names {
    values: String,
    keys: String,
    usage: String,
}

impl Names {
    /// A namespace has no slash and no brace in its name, so no two buckets share a name.
    fn of(bucket: &Bucket) -> Self {
        let name = |what: &str| format!("sampan:{{{}/{}}}:{what}", bucket.namespace, bucket.name);
        let usage = format!("sampan:{{{}}}:usage", bucket.namespace);
        Self { values: name("values"), keys: name("keys"), usage }
    }

    /// The bucket whose values have this name.
    fn bucket(values: &str) -> Option<Bucket> {
        let bucket = values.strip_prefix("sampan:{")?.strip_suffix("}:values")?;
        let (namespace, name) = bucket.split_once('/')?;
        Some(Bucket { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl RedisKeyValue {
    /// Connects nowhere yet, and through `connect` then, unless Redis listens at a Unix socket. To be called within the
    /// runtime that is to carry its connection. Namespaces may keep what `quota` says.
    pub fn new(settings: RedisSettings, connect: Arc<dyn Connect>, quota: Quota) -> Self {
        Self { link: Arc::new(Link::new(settings, connect)), quota, refused: Refusals::default() }
    }

    /// Counts what it refuses.
    pub fn refused(&self) -> Refusals {
        self.refused.clone()
    }

    /// A call of a script that counts.
    fn call(&self, script: &'static Script, bucket: &Bucket) -> ScriptInvocation<'static> {
        let names = Names::of(bucket);
        let mut call = script.key(names.values);
        call.key(names.keys).key(names.usage).arg(self.quota.bytes).arg(self.quota.keys).arg(&bucket.name);
        call
    }

    /// Reads what such a script answers that found the quota exceeded.
    fn within(&self, bucket: &Bucket) -> impl Fn(Value) -> Result<Value, KeyValueError> + Send + 'static {
        let (quota, namespace, refused) = (self.quota, bucket.namespace.clone(), self.refused.clone());
        move |answer| {
            let Value::Array(parts) = &answer else { return Ok(answer) };
            let [Value::BulkString(part), Value::BulkString(would_be)] = &parts[..] else { return Ok(answer) };
            let would_be = String::from_utf8_lossy(would_be).parse().unwrap_or(u64::MAX);
            let part = if part == b"keys" { Part::Keys } else { Part::Bytes };
            Err(quota.refuse(&refused, &namespace, part, would_be))
        }
    }

    /// Makes the connection now, so that the log says at once if that is not possible.
    pub async fn connected(self) {
        // What fails is in the log.
        let _ = self.link.connect().await;
    }

    /// Some buckets that anything is kept in, each once or more often, and where to go on; after the last that is 0, where it begins.
    pub(super) fn buckets(&self, from: u64) -> BoxFuture<'static, Result<(u64, Vec<Bucket>), KeyValueError>> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(from).arg("MATCH").arg("sampan:{*/*}:values").arg("COUNT").arg(1000);
        self.ask(Ok((Repeat::Once, Request::Command(scan))), |answer| {
            let (next, names): (u64, Vec<String>) = parse(answer)?;
            Ok((next, names.iter().filter_map(|name| Names::bucket(name)).collect()))
        })
    }

    /// Asks, if what is asked for is within the limits, and reads the answer.
    fn ask<T: Send + 'static>(
        &self,
        checked: Result<(Repeat, Request), KeyValueError>,
        read: impl FnOnce(Value) -> Result<T, KeyValueError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, KeyValueError>> {
        let link = self.link.clone();
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
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        let checked = check_keys(keys.iter()).map(|()| {
            let mut call = scripts::GET.key(Names::of(bucket).values);
            call.arg(limit_bytes).arg(keys);
            (Repeat::Once, Request::Script(call))
        });
        self.ask(checked, move |answer| match answer {
            Value::Int(bytes) => {
                check_read(usize::try_from(bytes).unwrap_or(usize::MAX), limit_bytes).map(|()| Vec::new())
            }
            values => parse(values),
        })
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        if entries.is_empty() {
            return ready(Ok(())).boxed();
        }
        let checked = check_entries(&entries).map(|()| {
            let mut call = self.call(&scripts::SET, bucket);
            // Of a key that is given twice the last value counts.
            let new: BTreeMap<&str, &[u8]> = entries.iter().map(|(key, value)| (key.as_str(), &value[..])).collect();
            for (key, value) in new {
                call.arg(key).arg(value);
            }
            (Repeat::Never, Request::Script(call))
        });
        let within = self.within(bucket);
        self.ask(checked, move |answer| within(answer).map(drop))
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        if keys.is_empty() {
            return ready(Ok(())).boxed();
        }
        let checked = check_keys(keys.iter()).map(|()| {
            let mut call = self.call(&scripts::DELETE, bucket);
            call.arg(keys);
            (Repeat::Never, Request::Script(call))
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
            let mut call = self.call(&scripts::INCREMENT, bucket);
            call.arg(&key).arg(delta);
            (Repeat::Never, Request::Script(call))
        });
        let within = self.within(bucket);
        self.ask(checked, move |answer| parse::<Option<i64>>(within(answer)?)?.ok_or(KeyValueError::NotANumber { key }))
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        let checked = check_keys([&key].into_iter()).and_then(|()| check_value(&value)).map(|()| {
            let mut call = self.call(&scripts::SWAP, bucket);
            call.arg(key).arg(&value[..]);
            if let Some(expected) = &expected {
                call.arg(&expected[..]);
            }
            (Repeat::Never, Request::Script(call))
        });
        let within = self.within(bucket);
        self.ask(checked, move |answer| parse(within(answer)?))
    }
}
