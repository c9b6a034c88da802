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
    // They end before what they use.
    background: Threads,
    probes: Threads,
    starts: Threads,
    pub(crate) engine: GuestEngine,
    pub(crate) outside: Outside,
    pub(super) idle: Arc<AllIdle>,
    pub(super) memory: Arc<GuestMemory>,
    /// Handles of one instance.
    pub(super) max_handles: usize,
}

impl Host {
    pub(crate) fn new(config: &WorkerConfig, connect: Arc<dyn Connect>) -> Result<Self, WorkerError> {
        let compute = priority::compute_on_this_thread;
        let background = Threads::start("sampan-guest", config.background_threads, compute, "the background threads")?;
        let probes =
            Threads::start("sampan-probes", PROBE_THREADS, priority::lower_this_thread, "the threads for probes")?;
        let starts = Threads::start("sampan-starts", START_THREADS, compute, "the threads for starts")?;
        let engine = GuestEngine::new(config)?;
        let idle = Arc::<AllIdle>::default();
        Ok(Self {
            engine,
            outside: Outside::new(connect),
            memory: GuestMemory::new(config.capacity.memory_bytes, idle.clone()),
            idle,
            max_handles: config.max_handles as usize,
            background,
            probes,
            starts,
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
        self.background.handle()
    }

    /// Where guests are instantiated to see that they can be: not in the background, where requests of others would wait for them.
    pub(super) fn starts(&self) -> &runtime::Handle {
        self.starts.handle()
    }

    /// Where guests are asked by their probes: not where the session is followed, which no guest may hold up, nor behind guests that
    /// compute for long.
    pub(crate) fn probes(&self) -> &runtime::Handle {
        self.probes.handle()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.engine.ticker.stop();
    }
}

/// Threads that drive guests beside those that serve requests and follow the session.
struct Threads(Option<runtime::Runtime>);

impl Threads {
    /// So many, but one at least. `what` is what they are called where the system gives none.
    fn start(name: &str, count: usize, each: fn(), what: &'static str) -> Result<Self, WorkerError> {
        let threads = runtime::Builder::new_multi_thread()
            .worker_threads(count.max(1))
            .thread_name(name)
            .on_thread_start(each)
            .enable_all()
            .build();
        threads.map(|threads| Self(Some(threads))).map_err(|source| WorkerError::Threads { what, source })
    }

    fn handle(&self) -> &runtime::Handle {
        self.0.as_ref().expect("taken only when dropped").handle()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // Waiting for them would block, which the runtime that drops this may not.
            threads.shutdown_background();
        }
    }
}
