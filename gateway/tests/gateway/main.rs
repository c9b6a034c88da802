//! The gateway as its clients, its replicas and its control plane see it: real sockets, fake replicas.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod balancers;
mod balancing;
mod calls;
mod clients;
mod ending;
mod failures;
mod fakes;
mod limits;
mod messages;
mod routing;
mod streaming;
