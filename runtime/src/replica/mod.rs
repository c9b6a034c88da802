//! One running replica: its limits, its instances, and the way of a request through it.

mod admission;
mod body;
mod cpu;
mod entry;
mod failure;
mod health;
mod host;
mod idle;
mod instance;
mod instance_size;
mod memory;
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
pub(crate) use memory::MemoryAccount;
pub(crate) use running::Replica;
pub(crate) use turn::Turn;
