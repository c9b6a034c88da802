//! Asking another replica: what is kept of a request for that, and how often it may happen.

mod budget;
mod kept;
mod sending;

pub(crate) use budget::RetryBudget;
pub(crate) use sending::{NotTaken, Sending};
