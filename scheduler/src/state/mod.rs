//! What the scheduler knows, indexed so that an event touches only what it concerns.

mod deployment;
mod load;
mod replica;
mod revision;
mod tally;
mod worker;
mod workers;

pub(crate) use deployment::{DeploymentState, ScaledFor};
pub(crate) use load::Load;
pub(crate) use replica::Replica;
pub(crate) use revision::RevisionState;
pub(crate) use tally::Standing;
pub(crate) use worker::{Nominee, Worker};
pub(crate) use workers::Workers;
