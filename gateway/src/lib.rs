//! The HTTP load balancer: listeners, routes, endpoint pools, balancing, queueing, measuring.
//!
//! It takes requests from sockets ([`Gateway::run`]) and from guests ([`Gateway::cluster_http`]), finds the Service
//! that each is for, picks the replica with most free concurrency, and streams bodies both ways. It does *not* decide
//! how many replicas there are or where they run (it is told, and it measures), does not run guests, keeps nothing
//! on disk and speaks no TLS.
//!
//! A request stays on the thread that has its connection, without a task of its own (HTTP/2 has one for each stream) and
//! without a lock that threads share, unless it has to wait for a replica.
//!
//! Decisions: an `Upgrade` request other than `h2c` is answered with 501; every answer that the gateway gives itself
//! is JSON with a [`Reason`], but for heads that are malformed (400) or too large (431), which the HTTP parser answers
//! without a body; a client that is too slow with a request's head is disconnected without an answer.

mod access;
mod balance;
mod balancers;
mod body;
mod cluster_http;
mod config;
mod error;
mod forward;
mod front;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod gateway;
mod guard;
mod listen;
mod measurements;
mod memory;
mod offenders;
mod overload;
mod random;
mod refusal;
mod retry;
mod rewrite;
mod routing;
mod sampler;
mod shared;
mod signpost;
mod sources;
mod spread;
mod threads;

pub use access::{Access, AccessLog, AccessReader};
pub use config::GatewayConfig;
pub use error::GatewayError;
pub use gateway::Gateway;
pub use measurements::{Measurements, ServiceMeasurement};
pub use overload::{InvalidThreshold, Memory, OverloadAction, OverloadThreshold, OverloadThresholds};
pub use refusal::Reason;
