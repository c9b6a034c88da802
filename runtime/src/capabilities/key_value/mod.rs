//! `wasi:keyvalue` over [`api::KeyValue`], in the draft with compare-and-swap and in the one before it.

#![allow(unreachable_pub, reason = "generated bindings re-export these types, within this crate")]

mod draft1;
mod draft2;
mod view;

use std::sync::Arc;

use api::{KeyValue, KeyValueError, replica::LogSource};
use wasmtime::component::{Linker, ResourceTableError};

use super::{GuestState, lifted};
use crate::{
    log::ReplicaLog,
    replica::{Charge, MemoryLimitReached},
};

/// Keys in one page of a listing: as many as a batch takes.
const LIST_PAGE: usize = 512;
/// Pages of one bucket that a guest of the first draft, whose cursor is a number, can go back to.
const MAX_CURSORS: usize = 10_000;
/// What of a name is said that is not granted.
const SAID_BYTES: usize = 256;

/// A value that a guest hands over.
type Value = lifted::Octets<{ api::MAX_VALUE_BYTES }>;
/// The entries of a batch.
type Entries = lifted::Entries<{ api::MAX_BATCH }, { api::MAX_BATCH_BYTES }>;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    draft1::link(linker)?;
    draft2::link(linker)
}

/// The stores that the guests of one replica may open.
pub(super) struct KeyValueAccess {
    namespace: String,
    granted: Vec<String>,
    store: Arc<dyn KeyValue>,
    log: Arc<ReplicaLog>,
}

impl KeyValueAccess {
    pub(super) fn new(namespace: &str, granted: &[String], store: Arc<dyn KeyValue>, log: Arc<ReplicaLog>) -> Self {
        Self { namespace: namespace.to_owned(), granted: granted.to_vec(), store, log }
    }

    fn open(&self, name: String) -> Result<api::Bucket, StoreError> {
        // Who has one store need not name it.
        let name = match self.granted.as_slice() {
            [only] if name.is_empty() => only.clone(),
            _ => name,
        };
        if self.granted.contains(&name) {
            return Ok(api::Bucket { namespace: self.namespace.clone(), name });
        }
        self.log.line_of(LogSource::Sampan, || {
            format!(
                "denied: the key-value store `{}` is not granted; the annotation `{}` grants {}",
                &name[..name.floor_char_boundary(SAID_BYTES)],
                api::annotations::KEY_VALUE,
                if self.granted.is_empty() { "none".to_owned() } else { self.granted.join(", ") },
            )
        });
        Err(StoreError::AccessDenied)
    }
}

/// A bucket that a guest has open.
pub struct Bucket {
    bucket: api::Bucket,
    /// Where the pages that were listed end: a cursor of the first draft is one more than an index into it.
    cursors: Vec<String>,
    /// What they take.
    charge: Option<Charge>,
}

/// A compare-and-swap that a guest has begun: the value that it saw.
pub struct Cas {
    bucket: api::Bucket,
    key: String,
    seen: Option<bytes::Bytes>,
    _charge: Charge,
}

/// Why an operation failed, before it is put into either draft's words.
#[derive(Debug)]
pub enum StoreError {
    /// The store is not granted.
    AccessDenied,
    /// The store says why.
    Other(String),
    /// The guest broke the rules of its own handles.
    Trap(wasmtime::Error),
}

impl From<KeyValueError> for StoreError {
    fn from(error: KeyValueError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<ResourceTableError> for StoreError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<MemoryLimitReached> for StoreError {
    fn from(reached: MemoryLimitReached) -> Self {
        Self::Trap(reached.into())
    }
}

impl From<wasmtime::Error> for StoreError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}
