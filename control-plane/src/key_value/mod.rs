//! The stores behind `wasi:keyvalue`: [`RedbKeyValue`] keeps what guests write on disk, [`MemoryKeyValue`] for the life of
//! the process. Both pass the same conformance suite.
//!
//! They do not grant anything: which bucket a guest may open is decided where it opens it.

mod limits;
mod memory;
mod redb;
mod writer;

#[cfg(test)]
mod conformance;

pub use limits::{MAX_BATCH, MAX_KEY_BYTES, MAX_PAGE, MAX_VALUE_BYTES};
pub use memory::MemoryKeyValue;
pub use redb::RedbKeyValue;
