//! A process that pulls one image, and what it gives up before it speaks to the registry: everything that it does not need.

use registry_client::{PullNeeds, serve_pull};
use runtime::{Network, Sandbox};

/// What such a process does. To be called on the main thread, before there are others.
pub(crate) fn pull_process() -> anyhow::Result<()> {
    Ok(serve_pull(confine)?)
}

pub(super) fn confine(needs: PullNeeds) {
    let sandbox = match needs {
        PullNeeds::Network(read) => Sandbox { read, read_write: Vec::new(), network: Network::Outgoing },
        PullNeeds::Nothing => Sandbox { read: Vec::new(), read_write: Vec::new(), network: Network::Asked },
    };
    sandbox.enter_quietly();
}
