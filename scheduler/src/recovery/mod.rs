//! Recovery: restarts with backoff, workers that fall silent and come back, and what a new control plane learns from them.

mod adoption;
pub(crate) mod backoff;
mod departure;
mod due;
mod phases;
mod silence;
