use std::fmt::{self, Write};

use api::{Body, ServeError};
use http::Request;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use super::{instance::HANDED_OVER_BYTES, memory::MemoryLimitReached};

/// Why the host ends a guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the request deadline passed")]
    Deadline,
    #[error("it made calls of the host, one after the other, without a loop or a call of its own between them")]
    OutOfReach,
}

/// What is said of a failure at most: the rest may be as long as the guest likes.
const SAID_BYTES: usize = 1 << 10;

/// The beginning of what something displays.
pub(super) fn beginning(of: &dyn fmt::Display) -> String {
    let mut beginning = Beginning(String::new());
    // It ends with an error where there is more.
    let _ = write!(beginning, "{of}");
    beginning.0
}

struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = SAID_BYTES - self.0.len().min(SAID_BYTES);
        if text.len() > room {
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            self.0.push('…');
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuestFailure {
    #[error("{why}")]
    NotStarted { request: Box<Request<Body>>, why: String },
    #[error("{why}")]
    BadRequest { why: String },
    #[error("{reason}")]
    Trapped { reason: String },
    #[error("the memory limit was reached")]
    OutOfMemory { host_bytes: u64 },
    #[error("{}", MemoryLimitReached::OfWorker)]
    WorkerOutOfMemory,
    #[error("the request deadline passed")]
    Deadline,
    #[error("the replica was stopped")]
    Stopped,
}

impl GuestFailure {
    /// What an error out of the guest means.
    pub(super) fn of(error: &wasmtime::Error) -> Self {
        if let Some(reached) = error.downcast_ref::<MemoryLimitReached>() {
            return match reached {
                MemoryLimitReached::OfReplica { host_bytes } => Self::OutOfMemory { host_bytes: *host_bytes },
                MemoryLimitReached::OfWorker => Self::WorkerOutOfMemory,
            };
        }
        if let Some(Stop::Deadline) = error.downcast_ref() {
            return Self::Deadline;
        }
        Self::Trapped { reason: reason(error) }
    }

    /// As the gateway is told.
    pub(super) fn into_serve_error(self, limits: &api::replica::Limits) -> ServeError {
        match self {
            Self::NotStarted { request, why } => ServeError::Busy { request: Some(request), why },
            Self::BadRequest { why } => ServeError::BadRequest { why },
            Self::Trapped { reason } => ServeError::Trapped { reason },
            Self::OutOfMemory { .. } => ServeError::OutOfMemory { limit_bytes: limits.memory_bytes },
            Self::WorkerOutOfMemory => ServeError::Trapped { reason: MemoryLimitReached::OfWorker.to_string() },
            Self::Deadline => ServeError::DeadlineExceeded { deadline: limits.request_deadline },
            Self::Stopped => ServeError::Unreachable { why: "the replica was stopped before it had answered".into() },
        }
    }
}

/// One line for the user; the backtrace goes to the log.
pub(super) fn reason(error: &wasmtime::Error) -> String {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return format!("the guest exited with status {}", exit.0);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "the guest trapped: it panicked or aborted (unreachable)".to_owned(),
        Some(trap) => format!("the guest trapped: {trap}"),
        None => format!("the guest failed: {}", cause(error)),
    }
}

/// In words that name the limit, where wasmtime's own do not.
fn cause(error: &wasmtime::Error) -> String {
    let cause = beginning(&error.root_cause());
    let handles = matches!(error.downcast_ref(), Some(ResourceTableError::Full)) || cause.contains(HANDLES_EXCEEDED);
    if handles {
        return "an instance of it held too many handles (streams, bodies, fields, pollables, buckets) at a time: it must \
                let go of those that it needs no more, or the worker's `--max-handles` be raised"
            .to_owned();
    }
    if cause.contains(FUEL_EXHAUSTED) {
        return format!(
            "it handed over more than {HANDED_OVER_BYTES} bytes in one call of the host: what is larger goes in pieces"
        );
    }
    cause
}

/// How wasmtime says that an instance has too many handles, or hands over too much: there are no types of these errors.
const HANDLES_EXCEEDED: &str = "store handle limit exceeded";
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// The guest's own frames, if it was running when it failed.
pub(super) fn backtrace(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?;
    (!frames.frames().is_empty()).then(|| frames.to_string())
}

/// Whether it is the worker that has no memory left, and not the replica.
pub(super) fn is_of_worker(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(MemoryLimitReached::OfWorker))
}

/// Whether an instance could not be made for want of room, so that another replica may have it.
pub(super) fn no_room(error: &wasmtime::Error) -> Option<&'static str> {
    if error.is::<PoolConcurrencyLimitError>() {
        return Some("the worker's instance pool is full");
    }
    Some(match error.downcast_ref::<MemoryLimitReached>()? {
        MemoryLimitReached::OfReplica { .. } => "the replica's memory limit leaves no room for another instance",
        MemoryLimitReached::OfWorker => "the worker's memory for guests leaves no room for another instance",
    })
}
