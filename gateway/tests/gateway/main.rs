//! The gateway as its clients, its replicas and its control plane see it: real sockets, fake replicas.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests: no other crate sees them")]

mod balancers;
mod balancing;
mod calls;
mod clients;
mod ending;
mod failures;
mod fakes;
mod forwarded;
mod framing;
mod half_closed;
mod limits;
mod lingering;
mod messages;
mod offenders;
mod remote;
mod routing;
mod smuggling;
mod streaming;
mod trailers;
mod unreadable;
mod waking;
