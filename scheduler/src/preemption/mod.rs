//! Preemption: who matters more gets the room of who matters less, where there is not enough for both.
//!
//! The order is that of Kubernetes' scheduler (`pkg/scheduler/framework/preemption`, `SelectVictimsOnNode` and
//! `pickOneNodeForPreemption`), without PodDisruptionBudgets. [`victims`] says who would have to go from a worker, [`choice`]
//! which worker it is; both are pure, and the rest applies it. Only lower priorities make room, so that nobody takes turns.

mod apply;
mod choice;
mod victims;
