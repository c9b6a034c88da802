//! How many replicas a Deployment wants, where its traffic decides that.
//!
//! [`decide`] is a pure function of a [`View`]: what is to be scaled and by which policy, what gateways and workers
//! measured, how many replicas there are, and what was decided before. It answers the number, why, and when to ask again.
//! Whoever carries a decision out tells it to the [`Memory`] with [`Memory::note`]; nothing else has state.
//!
//! No data is no decision: where a gateway is silent, nothing is scaled down. Requests that wait are data.

mod behavior;
mod conditions;
mod decision;
mod hpa;
mod kpa;
mod memory;
mod model;
mod policy;
#[cfg(test)]
mod properties;
mod sqrt_staffing;
mod targets;
mod traffic;
mod view;
mod why;

pub use conditions::Condition;
pub use decision::Decision;
pub use memory::Memory;
pub use model::{Autoscaler, Behavior, Metric, PolicyKind, RulePolicy, Rules, Select, Target, TargetValue};
pub use policy::{Policy, decide};
pub use traffic::{Source, Traffic};
pub use view::{CpuView, View};
pub use why::{Inputs, Limit, MetricValue, Rule, Why};
