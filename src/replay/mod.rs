//! What `sampan autoscale replay` does around the simulation: files, threads, tables and plots.

mod figures;
mod files;
mod plot;
mod report;

pub(crate) use files::{read_trace, run_times_beside};
pub(crate) use plot::plot;
pub(crate) use report::Report;
