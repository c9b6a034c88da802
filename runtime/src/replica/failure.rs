use api::{Body, ServeError};
use http::Request;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::memory::MemoryLimitReached;

/// Why the host ends a guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the request deadline passed")]
    Deadline,
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
    OutOfMemory,
    #[error("the request deadline passed")]
    Deadline,
    #[error("the replica was stopped")]
    Stopped,
}

impl GuestFailure {
    /// What an error out of the guest means.
    pub(super) fn of(error: &wasmtime::Error) -> Self {
        if error.is::<MemoryLimitReached>() {
            return Self::OutOfMemory;
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
            Self::OutOfMemory => ServeError::OutOfMemory { limit_bytes: limits.memory_bytes },
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
        None => format!("the guest failed: {}", error.root_cause()),
    }
}

/// The guest's own frames, if it was running when it failed.
pub(super) fn backtrace(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?;
    (!frames.frames().is_empty()).then(|| frames.to_string())
}

/// Whether an instance could not be made for want of room, so that another replica may have it.
pub(super) fn no_room(error: &wasmtime::Error) -> Option<&'static str> {
    if error.is::<PoolConcurrencyLimitError>() {
        return Some("the worker's instance pool is full");
    }
    error.is::<MemoryLimitReached>().then_some("the replica's memory limit leaves no room for another instance")
}
