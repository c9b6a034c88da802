//! The pure state machine: place, roll out, recover.
//!
//! [`Scheduler::step`] takes an event and the time, changes the state and says what is to be done. It
//! does no I/O, reads no clock, starts no task, and draws randomness only from the seed it was given,
//! so the same events give the same actions. The control plane is its shell.

mod action;
pub mod autoscale;
mod changes;
mod event;
mod intake;
mod model;
mod names;
mod placement;
mod plan;
mod preemption;
mod recovery;
pub mod replay;
mod rollout;
mod scaling;
mod scheduler;
mod settings;
mod state;
mod status;
mod timers;
mod views;

pub use action::{
    Action, AutoscalerStatus, Condition, ConditionKind, ConditionReason, DeploymentStatus, EventKind,
    NETWORK_UNAVAILABLE, ReplicaState, ReplicaView, RevisionStatus, Subject, WorkerView,
};
/// What is placed, as all rooms call it.
pub use api::template::{EnvSource, Priority, Resources, SpreadConstraint, Template, TemplateSource, Toleration};
pub use event::{Event, GatewayId};
pub use model::{Deployment, Revision, Share, Strategy};
pub use scheduler::Scheduler;
pub use settings::Settings;
