//! What a worker's process gives up before it has threads: everything that it does not need.

use anyhow::Context;
use runtime::{Compile, CompileServer, Network, Sandbox};
use transport::machine;

use super::{config::limited_compile_process, make_private, worker::WorkerPlan};
use crate::key_value::Redis;

/// What has been set up before the sandbox was entered, since it cannot be afterwards.
pub(crate) struct Confined {
    pub(super) compile: Compile,
    pub(super) redis: Option<Redis>,
}

/// Starts the process that compiles, and enters the sandbox. To be called on the main thread, before there are others.
pub(crate) fn confine(plan: &WorkerPlan, sandboxed: bool) -> anyhow::Result<Confined> {
    let dir = plan.data.claim()?;
    let own = [dir.images(), dir.compile_cache()];
    own.iter().try_for_each(|folder| make_private(folder))?;
    // Read from places that are closed afterwards, and kept.
    machine();
    let redis = plan.key_value.resolve_elsewhere()?;
    let Some(process) = limited_compile_process(&plan.limits).filter(|_| sandboxed) else {
        let compile = limited_compile_process(&plan.limits).map_or(Compile::InThreads, Compile::Process);
        return Ok(Confined { compile, redis });
    };
    let args = ["compile-server".to_owned(), process.memory_bytes.to_string(), process.timeout.as_millis().to_string()];
    let server = CompileServer::start(&process, &args).context("the process that compiles cannot be started")?;
    // Its sockets are opened for it. What the system lacks is warned of, and done without.
    Sandbox { read: Vec::new(), read_write: own.to_vec(), network: Network::Asked }.enter();
    Ok(Confined { compile: Compile::Server(server), redis })
}
