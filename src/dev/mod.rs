//! `sampan dev`: a server, and beside it a client that builds, applies and watches one project.
//!
//! All that it does to the cluster goes through the API, as with any client; the server does not know of it.

mod access;
mod causes;
mod changes;
mod config;
mod deploy;
mod edits;
mod follow;
mod history;
mod manifest;
mod neighbours;
mod observe;
mod pin;
mod prune;
mod ready;
mod remote_files;
mod rollouts;
mod session;
mod snapshot;
mod urls;
mod watched_files;

pub(crate) use manifest::write_manifests;
pub(crate) use session::{DevConfig, run};
