//! What would a policy have done? A trace of real traffic is replayed, in virtual time, against the same
//! [`decide`](crate::autoscale::decide) that runs in production.
//!
//! A [`Trace`] is read from text; [`Function::requests`] spreads its counts over seconds by a seed; [`simulate`] is a
//! discrete-event simulation of one function with its line, its replicas and the windows that gateways measure; an
//! [`Outcome`] is what it came to. [`Plan::replay`] does so for all functions of a trace, each by itself. The same trace, seed and [`Settings`] give the same outcome. It does not model processors,
//! workers that are full, or networks: a request is worked on as long as the trace says, whoever else is there.

mod arrivals;
mod comparison;
mod outcome;
mod simulation;
mod trace;

pub use arrivals::{Request, Requests, Seconds, UnknownSeconds};
pub use comparison::{Plan, Replayed, SHORT};
pub use outcome::{Bucket, Outcome, Series, Waits};
pub use simulation::{Settings, simulate};
pub use trace::{Function, Load, ServiceTime, Trace, TraceError};
