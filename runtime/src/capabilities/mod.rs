//! Everything that a guest can reach. What is not in [`Capabilities`] is not linked.

mod bindings;
mod config;
mod environment;
mod imports;
mod key_value;
mod logging;
mod outbound;
mod state;
mod stdio;

use std::sync::Arc;

use api::{outbound::InvalidGrant, replica::ReplicaSpec};
use wasmtime::component::Linker;

use crate::{log::ReplicaLog, worker::Handles};

pub(crate) use imports::{Granted, check_imports};
pub use imports::{grants_for, refuse_imports};
pub(crate) use outbound::{Cause, OutboundClient, into_http_error};
pub(crate) use state::GuestState;

use key_value::KeyValueAccess;
use outbound::Outbound;

/// What the instances of one replica can reach: the whole surface of the sandbox.
///
/// Besides, a guest has clocks, random numbers and its own memory. It has no file, no socket, no
/// argument and no standard input.
pub(crate) struct Capabilities {
    /// `wasi:cli/environment` and `wasi:config`.
    environment: Vec<(String, String)>,
    /// `wasi:keyvalue`: the stores that are granted.
    key_value: KeyValueAccess,
    /// `wasi:http/outgoing-handler`: the hosts that are granted.
    outbound: Arc<Outbound>,
    /// stdout, stderr and `wasi:logging`.
    log: Arc<ReplicaLog>,
}

impl Capabilities {
    /// What the spec of a replica grants.
    pub(crate) fn granted(
        spec: &ReplicaSpec,
        handles: &Handles,
        client: Arc<OutboundClient>,
        log: Arc<ReplicaLog>,
    ) -> Result<Self, InvalidGrant> {
        let namespace = spec.id.0.namespace.clone();
        Ok(Self {
            environment: spec.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            key_value: KeyValueAccess::new(&namespace, &spec.grants.key_value, handles.key_value.clone(), log.clone()),
            outbound: Arc::new(Outbound::new(
                namespace,
                &spec.grants.outbound,
                handles.cluster_http.clone(),
                client,
                log.clone(),
            )?),
            log,
        })
    }
}

/// The linker for every guest: what a guest may use of it is decided by its [`Capabilities`] at each call.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // wasmtime's environment would have to be copied for each instance; ours is shared by them.
    linker.allow_shadowing(true);
    environment::link(&mut linker)?;
    linker.allow_shadowing(false);
    config::link(&mut linker)?;
    logging::link(&mut linker)?;
    key_value::link(&mut linker)?;
    Ok(linker)
}
