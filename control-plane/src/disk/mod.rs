//! What both durable stores need of the disk: the lock on the data directory, a redb file that is opened with care and
//! again after a failure, and one writer thread that makes many waiting writes durable at once.

mod file;
mod group_commit;
mod lock;

#[cfg(test)]
pub(crate) mod faults;

pub(crate) use file::{DiskError, File};
pub(crate) use group_commit::{Commit, Queue, QueueError};
pub(crate) use lock::DataDirLock;
