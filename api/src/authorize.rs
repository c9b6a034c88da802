//! What workers of other processes may ask and say. Who carries their sessions asks it of each call and of each message.

use futures::future::BoxFuture;

use crate::{Bucket, Digest, WorkerName, session::WorkerUp};

/// What a worker asks beside its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call<'a> {
    /// To read or write a store of guests.
    KeyValue(&'a Bucket),
    /// To be given an image.
    Image(&'a Digest),
}

/// Decides what workers may ask and say, by what was placed on each. Its refusals are for people.
pub trait Authorize: Send + Sync {
    /// Which worker a process of this machine is: the one as which it was `started` here, whatever it says; else what it calls
    /// itself, which can only take rights away. `None`: it is neither, and may do what the user of this machine may.
    fn local(&self, started: Option<&WorkerName>, says: Option<&WorkerName>) -> Result<Option<WorkerName>, String>;

    /// Where a worker of this machine takes requests, as follows from its name; `None`: nowhere that others are told of.
    fn socket(&self, worker: &WorkerName) -> Option<String>;

    /// Whether a worker may ask this.
    fn call(&self, worker: &WorkerName, call: Call<'_>) -> Result<(), String>;

    /// What counts of a message: as much as the worker may say. `None`: nothing.
    fn hear(&self, worker: &WorkerName, message: WorkerUp) -> Option<WorkerUp>;
}

/// Finds out whether an address is the worker's that advertises it.
pub trait ConfirmAddress: Send + Sync {
    /// Connects to `HOST:PORT`, where this worker must show who it is. The error is for people.
    fn confirm(&self, worker: &WorkerName, address: &str) -> BoxFuture<'static, Result<(), String>>;
}
