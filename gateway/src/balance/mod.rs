//! One Service's replicas: who takes the next request, and who waits.

mod meter;
mod permit;
mod pick;
mod queue;
mod replica;
mod service;

pub(crate) use meter::{Measured, Totals};
pub(crate) use permit::Permit;
pub(crate) use replica::Replica;
pub(crate) use service::{AcquireError, Awakened, Sampled, Service, Tried, Waits, WhyNone};
