//! The control plane: it opens the durable store of what users want, has the Kubernetes API served over it, and is the shell
//! that feeds the scheduler's state machine and carries out what it decides.
//!
//! It takes no decision on placement or rollout (the `scheduler` does), runs no guest and serves no user traffic.

pub mod logs;

mod bootstrap;
mod budgets;
mod control_plane;
mod error;
mod garbage;
mod images;
mod join;
mod live;
mod peers;
mod projection;
mod routing;
mod shell;
#[cfg(test)]
mod testing;
mod usage;

pub use control_plane::{ControlPlane, ControlPlaneConfig, Persistence, Silence};
pub use error::{OpenError, RunError};
pub use join::{Admitted, Authorities, Denied, IssuedCertificate, JoinRefused, Register, TrustedAuthority};
pub use peers::Peers;
/// Policies tried out on traffic of the past: passed on to the command line, which does not know the scheduler.
pub use scheduler::{autoscale::PolicyKind, replay};
pub use shell::{Autoscaled, CommandError, Commands, Measured, Measurements, Total};
