//! The shell with the real state machine and real stores, between a worker and a gateway that a test plays.

mod autoscalers;
mod cluster;
mod denied_calls;
mod deployments;
mod placements;
mod policies;
mod priorities;
mod quotas;
mod sessions;
mod starts;
mod workers;
