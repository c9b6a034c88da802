use std::sync::Arc;

use api::outbound::Connect;
use tokio::runtime;

use super::{guest_memory::GuestMemory, idle::AllIdle};
use crate::{
    WorkerError,
    capabilities::Outside,
    engine::{Asked, GuestEngine, Holder},
    priority,
    worker::WorkerConfig,
};

/// Threads that ask guests as their probes say. A probe takes a moment; where it does not, its guest is moved to the background.
const PROBE_THREADS: usize = 1;
/// Threads on which it is tried whether instances of a replica can be made.
const START_THREADS: usize = 2;

/// What all replicas of a worker share.
pub(crate) struct Host {
    pub(crate) engine: GuestEngine,
    pub(crate) outside: Outside,
    pub(super) idle: Arc<AllIdle>,
    pub(super) memory: Arc<GuestMemory>,
    /// Handles of one instance.
    pub(super) max_handles: usize,
    background: Option<runtime::Runtime>,
    probes: Option<runtime::Runtime>,
    starts: Option<runtime::Runtime>,
}

impl Host {
    pub(crate) fn new(config: &WorkerConfig, connect: Arc<dyn Connect>) -> Result<Self, WorkerError> {
        let background = runtime::Builder::new_multi_thread()
            .worker_threads(config.background_threads.max(1))
            .thread_name("sampan-guest")
            .on_thread_start(priority::compute_on_this_thread)
            .enable_all()
            .build()
            .map_err(|source| WorkerError::Threads { what: "the background threads", source })?;
        let probes = runtime::Builder::new_multi_thread()
            .worker_threads(PROBE_THREADS)
            .thread_name("sampan-probes")
            .on_thread_start(priority::lower_this_thread)
            .enable_all()
            .build()
            .map_err(|source| WorkerError::Threads { what: "the threads for probes", source })?;
        let starts = runtime::Builder::new_multi_thread()
            .worker_threads(START_THREADS)
            .thread_name("sampan-starts")
            .on_thread_start(priority::compute_on_this_thread)
            .enable_all()
            .build()
            .map_err(|source| WorkerError::Threads { what: "the threads for starts", source })?;
        let engine = GuestEngine::new(config)?;
        let idle = Arc::<AllIdle>::default();
        Ok(Self {
            engine,
            outside: Outside::new(connect),
            memory: GuestMemory::new(config.capacity.memory_bytes, idle.clone()),
            idle,
            max_handles: config.max_handles as usize,
            background: Some(background),
            probes: Some(probes),
            starts: Some(starts),
        })
    }

    /// Room for an instance of this replica. In a full pool, instances that only wait for a request give way.
    pub(super) fn room(&self, holder: &Arc<Holder>) -> Asked {
        match holder.take() {
            Asked::Full if self.idle.drop_oldest() => holder.take(),
            Asked::Waits(waiting) => {
                // Its slot goes to who waits and has least.
                self.idle.drop_oldest();
                Asked::Waits(waiting)
            }
            asked => asked,
        }
    }

    /// Where guests go that compute for long.
    pub(super) fn background(&self) -> &runtime::Handle {
        self.background.as_ref().expect("taken only when dropped").handle()
    }

    /// Where guests are instantiated to see that they can be: not in the background, where requests of others would wait for them.
    pub(super) fn starts(&self) -> &runtime::Handle {
        self.starts.as_ref().expect("taken only when dropped").handle()
    }

    /// Where guests are asked by their probes: not where the session is followed, which no guest may hold up, nor behind guests that
    /// compute for long.
    pub(crate) fn probes(&self) -> &runtime::Handle {
        self.probes.as_ref().expect("taken only when dropped").handle()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.engine.ticker.stop();
        for threads in [self.background.take(), self.probes.take(), self.starts.take()].into_iter().flatten() {
            // Waiting for them would block, which the runtime that drops this may not.
            threads.shutdown_background();
        }
    }
}
