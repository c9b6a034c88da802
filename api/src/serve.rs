use std::{future::pending, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response};

use crate::{Body, session::Endpoint};

/// Something that answers HTTP requests: a replica, in this process or another.
///
/// The future is polled on the thread that accepted the request. Dropping it before it is ready
/// tells the replica that nobody waits any more.
pub trait Serve: Send + Sync {
    /// Answers one request. The body of the answer may still be produced after this resolves.
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, ServeError>>;

    /// Whether it is in another process, with which a request may be lost.
    fn is_remote(&self) -> bool {
        false
    }

    /// Whether it can be expected to answer. Read on each request.
    fn is_reachable(&self) -> bool {
        true
    }

    /// Resolves once it cannot be expected to answer: who can ask another then does.
    fn lost(&self) -> BoxFuture<'static, ()> {
        Box::pin(pending())
    }
}

/// How long a request may take at most, as a caller in another process says: the replica's own deadline holds too.
/// It travels as an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Duration);

/// Turns an endpoint that the gateway was told of into something that answers requests.
///
/// In one process it looks the replica up; between processes it opens a pooled connection. The
/// gateway cannot tell which.
pub trait Dialer: Send + Sync {
    /// The way to this endpoint. Cheap, and called once for each endpoint, not once a request.
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve>;
}

/// Why a replica did not answer a request.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The guest has not seen the request: another replica may have it.
    #[error("{why}")]
    Refused {
        /// The request, as it was handed in.
        request: Box<Request<Body>>,
        /// Why it was not taken: draining, gone, no slot free.
        why: String,
    },
    /// The guest has not seen the request, but it is gone: who kept a copy may hand it to another replica.
    #[error("{why}")]
    Declined {
        /// Why it was not taken.
        why: String,
    },
    /// The guest has not seen the request, for which there is no room until another one has ended: it may come again.
    #[error("{why}")]
    Busy {
        /// The request, as it was handed in; `None` if it is gone: who kept a copy has it.
        request: Option<Box<Request<Body>>>,
        /// What is full.
        why: String,
    },
    /// The guest trapped, or ended without an answer.
    #[error("{reason}")]
    Trapped {
        /// What the user is told; the backtrace is in the replica's log.
        reason: String,
    },
    /// The guest asked for more memory than its replica may have.
    #[error("the replica's memory limit of {limit_bytes} bytes was reached")]
    OutOfMemory {
        /// The limit, over all memories together.
        limit_bytes: u64,
    },
    /// The guest did not answer within the request deadline.
    #[error("no answer within the request deadline of {deadline:?}")]
    DeadlineExceeded {
        /// The deadline that applies to each request of this replica.
        deadline: Duration,
    },
    /// The request could not be handed to the guest as it is: it is the client's fault.
    #[error("{why}")]
    BadRequest {
        /// What is wrong with it.
        why: String,
    },
    /// The replica could not be reached, and may have begun on the request.
    #[error("the replica could not be reached: {why}")]
    Unreachable {
        /// What failed.
        why: String,
    },
}
