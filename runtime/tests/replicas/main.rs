//! Replicas with real guests, through the worker's session and its dialer, as the other roles see them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod capabilities;
mod fakes;
mod fleet;
mod life;
mod limits;
mod outbound;
mod requests;
mod standby;
mod traps;
