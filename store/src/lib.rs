//! Where objects are kept: keys to bytes, one global revision, transactions and watches.
//!
//! It knows nothing of Kubernetes' objects: values are bytes. [`RedbStore`] keeps intent durably, [`MemoryStore`]
//! keeps projections of the live state. Both pass the same conformance suite.

mod batch;
mod error;
mod event;
mod index;
mod key;
mod memory;
mod redb;
mod store;
mod watch;

pub mod disk;
pub mod encryption;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod durability;

pub use self::redb::RedbStore;
pub use error::OpenError;
pub use event::WatchEvent;
pub use key::{collection_prefix, object_key};
pub use memory::MemoryStore;
use store::check_limits;
pub use store::{
    Compare, Item, MAX_KEY_BYTES, MAX_TXN, MAX_VALUE_BYTES, Op, Page, Revision, Store, StoreError, Versioned,
};
pub use watch::Watch;
