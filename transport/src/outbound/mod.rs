//! Connections to hosts outside: made by this process itself, or asked of the one that started it, which makes them and
//! passes them on.
//!
//! Who asks sends one line over a Unix socket, and is answered by one, which the connection comes with.

mod answer;
mod ask;
mod descriptor;
mod direct;
mod message;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use answer::{ConnectListener, Permit, serve_connects};
pub use ask::AskedConnect;
pub use direct::DirectConnect;

/// Connections that are being made for one process at a time. Beyond it, requests wait where they are made.
const CONNECTS: usize = 256;
