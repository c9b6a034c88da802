//! Status: what is observed, told when it has changed.

mod conditions;
mod publish;
