//! What the scheduler does, one story at a time: events in, actions out, time by hand.

mod bench;
mod departure;
mod preemption;
mod recovery;
mod rollout;
mod scaled_rollout;
mod scaling;
