//! Everything that a guest can reach. What is not in [`Capabilities`] is not linked.

mod bindings;
mod config;
mod environment;
mod http;
mod imports;
mod io;
mod key_value;
mod lifted;
mod logging;
mod outbound;
mod random;
mod state;
mod stdio;

use std::sync::Arc;

use api::{ObjectKey, replica::ReplicaSpec};
use wasmtime::component::Linker;

use crate::{error::StartError, log::ReplicaLog, worker::Handles};

pub(crate) use imports::{Granted, check_imports};
pub use imports::{grants_for, refuse_imports};
pub(crate) use outbound::{Cause, Outside, into_http_error};
pub(crate) use state::GuestState;

use key_value::KeyValueAccess;
use outbound::Outbound;

/// Bytes of the environment of a replica, which a guest can ask for as a whole.
const MAX_ENVIRONMENT_BYTES: usize = 1 << 20;
/// What each of its entries counts beside name and value.
const ENTRY_BYTES: usize = 48;

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
        outside: &Outside,
        log: Arc<ReplicaLog>,
    ) -> Result<Self, StartError> {
        let bytes = spec.environment.iter().map(|(name, value)| name.len() + value.len() + ENTRY_BYTES).sum();
        if bytes > MAX_ENVIRONMENT_BYTES {
            return Err(StartError::Environment { bytes, limit_bytes: MAX_ENVIRONMENT_BYTES });
        }
        let namespace = spec.id.0.namespace.clone();
        Ok(Self {
            environment: spec.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            key_value: KeyValueAccess::new(&namespace, &spec.grants.key_value, handles.key_value.clone(), log.clone()),
            outbound: Arc::new(Outbound::new(
                ObjectKey::new(namespace.clone(), spec.revision.as_str()),
                &spec.grants.outbound,
                handles.cluster_http.clone(),
                outside,
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
    // What is linked again takes the place of wasmtime's own: its environment would have to be copied for each instance, where ours
    // is shared by them, and the others bound what a call does, and count what is held.
    linker.allow_shadowing(true);
    environment::link(&mut linker)?;
    random::link(&mut linker)?;
    io::link(&mut linker)?;
    http::link(&mut linker)?;
    config::link(&mut linker)?;
    logging::link(&mut linker)?;
    key_value::link(&mut linker)?;
    Ok(linker)
}
