//! Runs replicas: the engine, the compile cache, capabilities, limits, and the worker role.
//!
//! A [`Worker`] follows its session: it fetches, compiles, links and probes what it is told to start,
//! and drains what it is told to stop. The replicas that it runs answer requests through
//! [`Replicas`], on the thread that asks. What runs in them was compiled by [`Artifacts`], perhaps of another process. A worker
//! decides nothing about where or how many replicas run, listens on no socket, routes no request, and keeps nothing on disk.

mod capabilities;
mod compile;
mod engine;
mod error;
mod log;
mod priority;
mod probes;
mod replica;
mod sandbox;
mod worker;

pub use capabilities::{grants_for, refuse_imports};
#[cfg(debug_assertions)]
pub use compile::serve_instead;
pub use compile::{Artifacts, Compile, CompileProcess, CompileServer, compiled_components, serve_compiles};
pub use engine::Code;
pub use error::WorkerError;
pub use priority::{
    at_first_priority, do_costly_work_on_this_thread, keep_first_priority, lower_this_thread, start_serving_thread,
};
pub use replica::Replicas;
pub use sandbox::{Network, Sandbox, SandboxGap};
pub use worker::{Ended, Ending, Handles, Worker, WorkerConfig};
