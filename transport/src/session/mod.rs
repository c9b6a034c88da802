//! Sessions between processes: each a gRPC stream in both directions, and a ledger that outlives the connection.
//!
//! Counted messages arrive once and in order. When a connection breaks, the client opens another and both sides send what
//! the other has not received. When the server has forgotten the session, or has been started anew, the session ends: who
//! held it begins another, whose first message says everything.

mod asker;
mod client;
mod frame;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod held;
mod ledger;
mod listener;
mod metered;
mod pump;
mod server;
#[cfg(test)]
mod tests;
mod whole_routes;

pub use client::{ControlPlaneClient, ControlPlaneWay};
pub(crate) use client::{Naming, explain, is_of_unknown_authority};
pub use listener::{SessionEntry, SessionListener};
pub use server::{Admission, Applicant, Offer, serve_sessions};

/// What this version speaks. One that is higher by one is understood too: messages only ever gain fields.
pub const PROTOCOL: u32 = 4;

/// Bytes of one message: what a worker with 10 000 replicas says first is some 10 MB.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
