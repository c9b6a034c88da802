use std::sync::Arc;

use api::{Bucket, Digest, FetchImage, ImageBytes, KeyValue, KeyValueError, Listing};
use bytes::Bytes;
use futures::future::{BoxFuture, ready};

use super::Granted;

/// The stores that replicas of one process are granted.
pub(super) struct GrantedKeyValue {
    pub(super) granted: Arc<Granted>,
    pub(super) store: Arc<dyn KeyValue>,
}

type Done<T> = BoxFuture<'static, Result<T, KeyValueError>>;

impl GrantedKeyValue {
    fn if_granted<T: Send + 'static>(
        &self,
        bucket: &Bucket,
        operation: impl FnOnce(&dyn KeyValue) -> Done<T>,
    ) -> Done<T> {
        if self.granted.allows_store(bucket) {
            return operation(&*self.store);
        }
        let Bucket { namespace, name } = bucket;
        tracing::warn!(namespace, name, "a worker's process asked for a store that nothing in it is granted: refused");
        let why = format!("nothing that runs there is granted the store `{name}` of namespace `{namespace}`");
        Box::pin(ready(Err(KeyValueError::Store(why))))
    }
}

impl KeyValue for GrantedKeyValue {
    fn get(&self, bucket: &Bucket, keys: Vec<String>) -> Done<Vec<Option<Bytes>>> {
        self.if_granted(bucket, |store| store.get(bucket, keys))
    }

    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> Done<()> {
        self.if_granted(bucket, |store| store.set(bucket, entries))
    }

    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> Done<()> {
        self.if_granted(bucket, |store| store.delete(bucket, keys))
    }

    fn list(&self, bucket: &Bucket, cursor: Option<String>, limit: usize) -> Done<Listing> {
        self.if_granted(bucket, |store| store.list(bucket, cursor, limit))
    }

    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> Done<i64> {
        self.if_granted(bucket, |store| store.increment(bucket, key, delta))
    }

    fn swap(&self, bucket: &Bucket, key: String, expected: Option<Bytes>, value: Bytes) -> Done<Option<Option<Bytes>>> {
        self.if_granted(bucket, |store| store.swap(bucket, key, expected, value))
    }
}

/// The images that replicas of one process are of.
pub(super) struct GrantedImages {
    pub(super) granted: Arc<Granted>,
    pub(super) images: Arc<dyn FetchImage>,
}

impl FetchImage for GrantedImages {
    fn fetch(&self, digest: Digest) -> BoxFuture<'static, Result<ImageBytes, String>> {
        if self.granted.allows_image(&digest) {
            return self.images.fetch(digest);
        }
        tracing::warn!(%digest, "a worker's process asked for an image that nothing in it is of: refused");
        Box::pin(ready(Err("nothing that runs there is of it".to_owned())))
    }
}
