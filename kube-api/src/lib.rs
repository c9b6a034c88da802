//! The Kubernetes API over any store: what is served of each kind, the verbs, who may ask.
//!
//! It knows no scheduler, and carries out nothing that objects ask for. What is live is asked of whoever serves it:
//! [`api_server::LiveCommands`] and [`logs::PodLogs`].

pub mod access;
pub mod api_server;
pub mod cluster_ip;
pub mod conditions;
pub mod fields;
pub mod finalizers;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod identity;
pub mod kind;
pub mod logs;
pub mod notation;
pub mod openapi;
pub mod ownership;
pub mod resources;
pub mod schema;
pub mod template;

mod checks;
mod wire;
