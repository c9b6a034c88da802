//! What both durable stores need of the disk: the lock on the data directory, a redb file that is opened with care and
//! again after a failure, and one writer thread that makes many waiting writes durable at once.

mod file;
mod group_commit;
mod lock;

#[cfg(any(test, feature = "testing"))]
pub(crate) mod faults;

pub use file::{DiskError, File};
pub use group_commit::{Commit, Queue, QueueError};
pub use lock::DataDirLock;
