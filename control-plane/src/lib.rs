//! The control plane: the durable store of what users want, the Kubernetes API, and the shell that feeds the
//! scheduler's state machine and carries out what it decides.
//!
//! It takes no decision on placement or rollout (the `scheduler` does), runs no guest and serves no user traffic.

pub mod logs;
pub mod store;

mod shell;

pub use shell::{CommandError, Commands};
