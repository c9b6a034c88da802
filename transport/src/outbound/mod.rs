//! Connections to hosts outside: made by this process itself, or asked of the one that started it, which makes them and
//! passes them on.
//!
//! Who asks sends one line over a connection that its broker opened, and is answered by one, which what it asked for comes with.

mod answer;
mod ask;
mod direct;
mod message;
mod parts;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use answer::{ConnectDesk, Permit};
pub use ask::AskedConnect;
pub use direct::DirectConnect;

/// Connections that are being made for one process at a time. Beyond it, requests wait where they are made.
const CONNECTS: usize = 256;
/// Of these, for the guests of one namespace: others have room beside one whose hosts do not answer.
const CONNECTS_PER_NAMESPACE: usize = 64;
