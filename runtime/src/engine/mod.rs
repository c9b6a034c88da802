//! The wasmtime engines of a worker: how they compile, what they pool, and their clock.

mod kept;
mod pool;
mod shares;
mod slots;
mod ticker;

use std::{num::NonZeroUsize, sync::Arc};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm};

use crate::{WorkerError, worker::WorkerConfig};

pub(crate) use kept::{KEPT_MEMORY_BYTES, KeptEngine};
pub(crate) use pool::{Asked, Holder, Pool, PoolSlot};
pub(crate) use slots::{Slot, Slots};
pub(crate) use ticker::{TICK, Ticker, Ticking};

/// Frames of a trap's backtrace that reach the replica's log.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");
/// Elements of a table: guests made from interpreted languages have tables with many thousands.
const TABLE_ELEMENTS: usize = 100_000;
/// Metadata of one core or component instance.
const INSTANCE_METADATA_BYTES: usize = 10 << 20;
/// Core instances of one component: interpreted languages are linked from dozens of modules.
const CORE_INSTANCES_PER_COMPONENT: u32 = 200;
/// Core instances in the pool for each component instance in it: Python's guests are made of 14.
const CORE_INSTANCES_EACH: u32 = 16;
/// Memories and tables of one component.
const MEMORIES_PER_COMPONENT: u32 = 32;
/// The stack of one guest call.
const STACK_BYTES: usize = 1 << 20;
/// The part of it that the host's own functions may need.
const HOST_STACK_BYTES: usize = 512 << 10;

/// The engine with what is shared by all that runs on it.
pub(crate) struct GuestEngine {
    pub(crate) wasm: wasmtime::Engine,
    /// For guests of much memory. `None`: the worker has no memory to keep for them.
    pub(crate) kept: Option<KeptEngine>,
    /// What stays resident of each memory in any case.
    pub(crate) keeps_each_bytes: u64,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) pool: Arc<Pool>,
}

impl GuestEngine {
    pub(crate) fn new(config: &WorkerConfig) -> Result<Self, WorkerError> {
        let wasm = wasmtime::Engine::new(&pooled(pool(config))).map_err(WorkerError::Engine)?;
        let kept = KeptEngine::new(config).map_err(WorkerError::Engine)?;
        let room = Pool::new(config.max_instances);
        let clocked = std::iter::once(&wasm).chain(kept.as_ref().map(|kept| &kept.wasm)).cloned().collect();
        let ticker =
            Ticker::start(clocked).map_err(|source| WorkerError::Threads { what: "the epoch thread", source })?;
        Ok(Self { wasm, kept, keeps_each_bytes: config.memory_keep_resident_bytes as u64, ticker, pool: room })
    }
}

/// What matters more of machine code: that it runs fast, or that it is there soon. Engines run either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Code {
    /// That it runs fast.
    #[default]
    Optimized,
    /// That it is there soon: it takes two thirds of the time to compile, and runs about half as fast.
    Unoptimized,
}

/// An engine that compiles what the worker's runs, and runs nothing itself: it has no pool.
pub(crate) fn compiling(made: Code) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = Config::new();
    code(&mut config);
    if made == Code::Unoptimized {
        config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    wasmtime::Engine::new(&config)
}

/// Engines of any pool run the same compiled components.
fn pooled(pool: PoolingAllocationConfig) -> Config {
    let mut config = Config::new();
    code(&mut config);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// What decides about the code that is made.
fn code(config: &mut Config) {
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // Only component-model async needs it, and it costs each store its set-up.
        .concurrency_support(false)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        .memory_init_cow(true)
        .async_stack_size(STACK_BYTES + HOST_STACK_BYTES)
        .max_wasm_stack(STACK_BYTES)
        .shared_memory(false);
}

fn pool(worker: &WorkerConfig) -> PoolingAllocationConfig {
    let mut pool = pool_of(worker.max_instances);
    pool.linear_memory_keep_resident(worker.memory_keep_resident_bytes)
        .table_keep_resident(worker.table_keep_resident_bytes);
    pool
}

/// A pool of so many instances, of which nothing stays resident.
fn pool_of(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_EACH))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(instances)
        .total_gc_heaps(instances)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_METADATA_BYTES)
        .max_core_instance_size(INSTANCE_METADATA_BYTES)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_module(2)
        .max_memories_per_module(2)
        .async_stack_keep_resident(0)
        // A page that was swapped out is not reset by it: the next instance, of another tenant, could read it.
        .pagemap_scan(Enabled::No);
    pool
}
