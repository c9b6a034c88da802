//! The stores behind `wasi:keyvalue`: [`RedbKeyValue`] keeps what guests write on disk, [`RedisKeyValue`] in Redis,
//! [`MemoryKeyValue`] for the life of the process. All pass the same conformance suite, and count what each namespace keeps
//! against its [`Quota`].
//!
//! They do not grant anything: which bucket a guest may open is decided where it opens it.

mod limits;
mod memory;
mod quota;
mod redb;
mod redis;
mod sealed;
mod writer;

#[cfg(test)]
mod conformance;

pub use self::redb::{NamespaceUsage, RedbKeyValue};
pub use self::redis::{InvalidRedis, RedisKeyValue, RedisSettings};
pub use limits::{MAX_BATCH, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_PAGE, MAX_VALUE_BYTES};
pub use memory::MemoryKeyValue;
pub use quota::{BYTES_FLAG, KEYS_FLAG, Quota};
pub use sealed::SealedKeyValue;
pub use sealed::{reseal, rewrite};
