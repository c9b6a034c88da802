//! Rollout: from a Deployment to its revisions and their numbers, and from a revision to its replicas.
//!
//! What is decided is in [`rolling`], [`proportion`] and [`victims`], pure; the rest applies it.

mod apply;
mod history;
mod images;
mod proportion;
mod replicas;
mod revisions;
pub(crate) mod rolling;
mod share;
pub(crate) mod victims;

pub(crate) use share::{Bounds, bounds};
