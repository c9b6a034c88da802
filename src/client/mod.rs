//! The client side: how the command line and `sampan dev` speak to the API, as any other client does.
//!
//! It holds no state of its own and reads nothing of the server's directories but the kubeconfig.

pub(crate) mod age;
pub(crate) mod apply;
pub(crate) mod connection;
pub(crate) mod events;
pub(crate) mod forward;
pub(crate) mod image;
pub(crate) mod kinds;
pub(crate) mod logs;
pub(crate) mod manifest;
pub(crate) mod patch;
pub(crate) mod projects;
pub(crate) mod query;
pub(crate) mod replicas;
pub(crate) mod revisions;
pub(crate) mod rollout;
pub(crate) mod selector;
pub(crate) mod table;
pub(crate) mod target;

mod list;
mod locate;
