//! What a worker's process gives up before it has threads: everything that it does not need.

use runtime::{Network, Sandbox};
use transport::machine;

use super::{make_private, worker::WorkerPlan};
use crate::{config::JoinAddress, key_value::Redis};

/// What has been set up before the sandbox was entered, since it cannot be afterwards.
pub(crate) struct Confined {
    pub(super) redis: Option<Redis>,
}

/// Enters the sandbox. To be called on the main thread, before there are others.
pub(crate) fn confine(plan: &WorkerPlan, sandboxed: bool) -> anyhow::Result<Confined> {
    // Read from places that are closed afterwards, and kept.
    machine();
    let redis = plan.key_value.resolve_elsewhere()?;
    if plan.join.join != JoinAddress::Broker {
        let dir = plan.data.claim()?;
        [dir.images(), dir.compile_cache()].iter().try_for_each(|folder| make_private(folder))?;
        return Ok(Confined { redis });
    }
    if sandboxed {
        // It opens its sockets and compiled components by asking for them. What the system lacks is warned of, and done without.
        let lent = plan.data.resolve()?.compile_cache();
        Sandbox { read: vec![lent], read_write: Vec::new(), network: Network::Asked }.enter();
    }
    Ok(Confined { redis })
}
