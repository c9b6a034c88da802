//! The other roles, as small as they can be.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
};

use api::{
    Body, Bucket, ClusterHttp, ClusterHttpError, Digest, FetchImage, ImageBytes, KeyValue, KeyValueError, Listing,
    ObjectKey, full_body,
};
use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use http::{Request, Response};
use registry_client::ImageStore;
use runtime::{Artifacts, Code, Compile};

/// A key-value store in memory.
#[derive(Default)]
pub(crate) struct MemoryStore {
    entries: Mutex<BTreeMap<(String, String, String), Bytes>>,
    /// How often it was asked for values.
    pub(crate) asked: AtomicUsize,
    /// The threads on which it was.
    pub(crate) asked_on: Mutex<HashSet<ThreadId>>,
    /// Bytes of the largest answer that it gave.
    pub(crate) largest: AtomicUsize,
}

fn at(bucket: &Bucket, key: &str) -> (String, String, String) {
    (bucket.namespace.clone(), bucket.name.clone(), key.to_owned())
}

fn done<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, KeyValueError>> {
    Box::pin(ready(Ok(value)))
}

impl KeyValue for MemoryStore {
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.asked_on.lock().unwrap().insert(thread::current().id());
        let map = self.entries.lock().unwrap();
        let values: Vec<_> = keys.iter().map(|key| map.get(&at(bucket, key)).cloned()).collect();
        match values.iter().flatten().map(Bytes::len).sum() {
            bytes if bytes > limit_bytes => {
                Box::pin(ready(Err(KeyValueError::TooLarge { what: "batch", bytes, limit_bytes })))
            }
            bytes => {
                self.largest.fetch_max(bytes, Ordering::Relaxed);
                done(values)
            }
        }
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        self.entries.lock().unwrap().extend(entries.into_iter().map(|(key, value)| (at(bucket, &key), value)));
        done(())
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>> {
        let mut map = self.entries.lock().unwrap();
        keys.iter().for_each(|key| drop(map.remove(&at(bucket, key))));
        done(())
    }

    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>> {
        let map = self.entries.lock().unwrap();
        let of_bucket =
            map.keys().filter(|(namespace, name, _)| *namespace == bucket.namespace && *name == bucket.name);
        let after = cursor.unwrap_or_default();
        let mut keys: Vec<String> = of_bucket.map(|(_, _, key)| key.clone()).filter(|key| *key > after).collect();
        let more = keys.len() > limit;
        keys.truncate(limit);
        let cursor = more.then(|| keys.last().cloned()).flatten();
        done(Listing { keys, cursor })
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>> {
        let mut map = self.entries.lock().unwrap();
        let value = map.entry(at(bucket, &key)).or_insert_with(|| Bytes::from_static(b"0"));
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
        let Some(number) = number else { return Box::pin(ready(Err(KeyValueError::NotANumber { key }))) };
        *value = (number + delta).to_string().into();
        done(number + delta)
    }

    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>> {
        let mut map = self.entries.lock().unwrap();
        if map.get(&at(bucket, &key)) != expected.as_ref() {
            return done(false);
        }
        map.insert(at(bucket, &key), value);
        done(true)
    }
}

/// A cluster in which each namespace has the one Service `products`, which says what it was asked, and on `/echo` sends it back
/// as it comes.
pub(crate) struct OneService;

impl ClusterHttp for OneService {
    fn resolve(&self, namespace: &str, host: &str) -> Option<ObjectKey> {
        let (name, of) = host.split_once('.').unwrap_or((host, namespace));
        let of = of.strip_suffix(".svc.cluster.local").or_else(|| of.strip_suffix(".svc")).unwrap_or(of);
        (name == "products" && !of.contains('.')).then(|| ObjectKey::new(of, name))
    }

    fn keeps_inside(&self, _: &ObjectKey, _: u16) -> Option<String> {
        None
    }

    fn call(
        &self,
        _: &ObjectKey,
        service: ObjectKey,
        _port: Option<u16>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, ClusterHttpError>> {
        if request.uri().path() == "/echo" {
            return Box::pin(ready(Ok(Response::new(request.into_body()))));
        }
        let trace = request.headers().get("traceparent").map_or("no trace", |trace| trace.to_str().unwrap());
        let text = format!("{service} {} {trace}", request.uri().path());
        Box::pin(ready(Ok(Response::new(full_body(text)))))
    }
}

/// With artifacts of the images in this store, compiled as is said, and kept in `dir`.
pub(crate) fn handles(
    images: &ImageStore,
    dir: &Path,
    compile: Compile,
    key_value: Arc<MemoryStore>,
) -> runtime::Handles {
    let artifacts = artifacts(images, dir, compile);
    runtime::Handles {
        key_value,
        cluster_http: Arc::new(OneService),
        images: Arc::new(artifacts.clone()),
        artifacts: Arc::new(artifacts),
        connect: Arc::new(transport::DirectConnect),
    }
}

pub(crate) fn artifacts(images: &ImageStore, dir: &Path, compile: Compile) -> Artifacts {
    artifacts_of(images, dir, compile, Code::default())
}

pub(crate) fn artifacts_of(images: &ImageStore, dir: &Path, compile: Compile, code: Code) -> Artifacts {
    Artifacts::open(images.clone(), Arc::new(NoImages), dir, compile, code).unwrap()
}

/// Nothing is to be had from elsewhere.
struct NoImages;

impl FetchImage for NoImages {
    fn fetch(&self, _: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        Box::pin(ready(Err("there is nobody to ask".to_owned())))
    }
}
