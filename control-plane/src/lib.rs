//! The control plane: the durable store of what users want, the Kubernetes API, and the shell that feeds the
//! scheduler's state machine and carries out what it decides.
//!
//! It takes no decision on placement or rollout (the `scheduler` does), runs no guest and serves no user traffic.

pub mod api_server;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod logs;
pub mod notation;
pub mod resources;
pub mod template;

mod bootstrap;
mod budgets;
mod checks;
mod cluster_ip;
mod conditions;
mod control_plane;
mod error;
mod finalizers;
mod garbage;
mod identity;
mod images;
mod join;
mod kind;
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
