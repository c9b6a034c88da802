//! Replicas with real guests, through the worker's session and its dialer, as the other roles see them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod after_the_answer;
mod capabilities;
mod fakes;
mod fleet;
mod host_calls;
mod life;
mod limits;
mod outbound;
mod output;
mod requests;
mod room;
mod standby;
mod traps;
