//! Scaling: how many replicas a Deployment wants, where traffic decides it. The policies are in [`crate::autoscale`], pure;
//! here they are asked, and what they decide is carried out.

mod apply;
mod begin;
mod gateways;
mod standby;
mod state;
mod traffic;

pub(crate) use gateways::Gateways;
pub(crate) use standby::StandbyFailure;
pub(crate) use state::Scaling;
