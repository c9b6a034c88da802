//! One running replica: its limits, its instances, and the way of a request through it.

mod admission;
mod body;
mod cpu;
mod entry;
mod failure;
mod guest_memory;
mod health;
mod host;
mod host_memory;
mod idle;
mod instance;
mod instance_size;
mod memory;
mod memory_shares;
mod pace;
mod registry;
mod request;
mod response;
mod running;
mod serving;
mod tail;
mod task;
mod turn;

pub use registry::Replicas;

pub(crate) use host::Host;
pub(crate) use host_memory::Charge;
pub(crate) use memory::{MemoryAccount, MemoryBudget, MemoryLimitReached};
pub(crate) use running::Replica;
pub(crate) use turn::Turn;
