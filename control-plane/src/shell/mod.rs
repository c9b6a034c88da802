//! The shell around the scheduler: it feeds events to the state machine and carries out its actions.

mod commands;

pub use commands::{CommandError, Commands};
use scheduler::Event;

/// What comes into the shell's queue.
#[derive(Debug)]
pub(crate) enum Input {
    /// For the scheduler.
    Event(Event),
}
