use std::{collections::BTreeMap, thread};

use api::{Address, Taint, WorkerName, session::Capacity};

use super::machine::Machine;

/// How a worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Its name, and its Node's.
    pub name: WorkerName,
    /// Node labels.
    pub labels: BTreeMap<String, String>,
    /// Node taints.
    pub taints: Vec<Taint>,
    /// Where gateways of other processes reach it.
    pub address: Option<Address>,
    /// What it says it can hold.
    pub capacity: Capacity,
    /// Instances at the same time, over all replicas. Each reserves 4 GiB of address space, not of memory.
    pub max_instances: u32,
    /// Handles that one instance has at the same time: streams, bodies, fields, pollables, buckets.
    pub max_handles: u32,
    /// Bytes of each memory slot that stay resident between instances. More costs memory, less costs page faults.
    pub memory_keep_resident_bytes: usize,
    /// Bytes of each table slot that stay resident between instances.
    pub table_keep_resident_bytes: usize,
    /// Memory of instances of guests that have and use much of it stays resident for the next instance, up to this over all.
    pub kept_memory_bytes: u64,
    /// Compiled components that nothing runs stay mapped up to this, so that they start at once.
    pub warm_bytes: u64,
    /// Threads for guests that compute for long. They run at a lower priority.
    pub background_threads: usize,
}

impl WorkerConfig {
    /// Instances at the same time.
    pub const DEFAULT_MAX_INSTANCES: u32 = 1000;
    /// Far more than a guest needs that lets go of what it is done with.
    pub const DEFAULT_MAX_HANDLES: u32 = 1000;
    /// Covers what guests of the usual languages touch of their memory.
    pub const DEFAULT_MEMORY_KEEP_RESIDENT_BYTES: usize = 2 << 20;
    /// Covers the tables of guests of compiled languages.
    pub const DEFAULT_TABLE_KEEP_RESIDENT_BYTES: usize = 512 << 10;
    /// Fifteen instances of guests of up to 32 MiB each; small machines keep less.
    pub const MAX_DEFAULT_KEPT_MEMORY_BYTES: u64 = 512 << 20;
    /// At most so much of the machine's memory is kept, unless something else is asked for.
    const DEFAULT_KEPT_PART: u64 = 8;
    /// Some hundreds of components of compiled languages.
    pub const DEFAULT_WARM_BYTES: u64 = 512 << 20;
    /// Replicas that a worker takes. An idle one costs little, so it is far above the instances.
    pub const DEFAULT_MAX_REPLICAS: u32 = 10_000;

    /// The defaults for this machine, within the control groups of this process.
    pub fn new(name: WorkerName) -> Self {
        let machine = Machine::read();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            name,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            address: None,
            capacity: Capacity {
                cpu_millis: machine.cpu_millis,
                memory_bytes: machine.memory_bytes,
                replicas: Self::DEFAULT_MAX_REPLICAS,
            },
            max_instances: Self::DEFAULT_MAX_INSTANCES,
            max_handles: Self::DEFAULT_MAX_HANDLES,
            memory_keep_resident_bytes: Self::DEFAULT_MEMORY_KEEP_RESIDENT_BYTES,
            table_keep_resident_bytes: Self::DEFAULT_TABLE_KEEP_RESIDENT_BYTES,
            kept_memory_bytes: Self::MAX_DEFAULT_KEPT_MEMORY_BYTES.min(machine.memory_bytes / Self::DEFAULT_KEPT_PART),
            warm_bytes: Self::DEFAULT_WARM_BYTES,
            background_threads: cores,
        }
    }
}
