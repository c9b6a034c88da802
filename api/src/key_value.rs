use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The largest value of a key.
pub const MAX_VALUE_BYTES: usize = 4 << 20;
/// Keys or entries of one call, and keys of one page of a listing: so many are looked up and handed over in less than 2 ms.
pub const MAX_BATCH: usize = 512;
/// Bytes of the values of one call: one of the largest, since a guest keeps a thread that serves requests while they are copied.
pub const MAX_BATCH_BYTES: usize = MAX_VALUE_BYTES;

/// A `wasi:keyvalue` bucket: its keys are apart from those of every other bucket and namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// The namespace of the replica that opened it.
    pub namespace: String,
    /// The identifier that the guest opened.
    pub name: String,
}

/// One page of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Keys in ascending order.
    pub keys: Vec<String>,
    /// Where the next page starts; `None` on the last.
    pub cursor: Option<String>,
}

/// Why an operation of the key-value store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyValueError {
    /// A key or a value is larger than allowed.
    #[error("{what} of {bytes} bytes is larger than the limit of {limit_bytes}")]
    TooLarge {
        /// `key`, `value` or `batch`.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit_bytes: usize,
    },
    /// More keys or entries than one call may have.
    #[error("a batch of {count} keys is more than the limit of {limit}: make several calls of it")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The value cannot be incremented.
    #[error("the value of key `{key}` is not a number")]
    NotANumber {
        /// The key.
        key: String,
    },
    /// There is no room for what was to be written: it is over a quota, or the disk is below its reserve. The text says which,
    /// and how it is set.
    #[error("{0}")]
    NoRoom(String),
    /// The store itself failed.
    #[error("the key-value store failed: {0}")]
    Store(String),
}

/// The durable store behind `wasi:keyvalue`. A write that was answered survives a crash.
///
/// Batches are atomic. Every implementation passes the same conformance suite.
pub trait KeyValue: Send + Sync {
    /// The values of these keys, in their order, if they have no more than [`MAX_BATCH_BYTES`] together.
    fn get(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>> {
        self.get_within(bucket, keys, MAX_BATCH_BYTES)
    }

    /// The same, if they have no more than `limit_bytes` together: else [`KeyValueError::TooLarge`] says how many they have, and
    /// nobody held them.
    fn get_within(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
        limit_bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<Option<Bytes>>, KeyValueError>>;

    /// Sets all of these, or none.
    fn set(&self, bucket: &Bucket, entries: Vec<(String, Bytes)>) -> BoxFuture<'static, Result<(), KeyValueError>>;

    /// Deletes all of these, or none. Keys that do not exist are fine.
    fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> BoxFuture<'static, Result<(), KeyValueError>>;

    /// A page of at most `limit` keys after `cursor`.
    fn list(
        &self,
        bucket: &Bucket,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Listing, KeyValueError>>;

    /// Adds to a number (absent counts as zero; stored as decimal text) and answers the sum.
    fn increment(&self, bucket: &Bucket, key: String, delta: i64) -> BoxFuture<'static, Result<i64, KeyValueError>>;

    /// Sets `key` to `value` if it still is `expected` (`None`: absent). Answers whether it was set; if not, what is there instead is
    /// read by whoever has room for it.
    fn swap(
        &self,
        bucket: &Bucket,
        key: String,
        expected: Option<Bytes>,
        value: Bytes,
    ) -> BoxFuture<'static, Result<bool, KeyValueError>>;
}
