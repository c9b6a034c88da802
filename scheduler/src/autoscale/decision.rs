use api::Timestamp;

use super::{Why, memory::Notes};

/// How many replicas there are to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// So many.
    pub desired: u32,
    /// From which inputs, by which rule, and what limited it.
    pub why: Why,
    /// When to decide again if nothing happens before: no request that waits, and no sample where this is `None`. `None`: never,
    /// for there is nothing to do without traffic.
    pub next_look: Option<Timestamp>,
    /// What is to be remembered of it.
    pub(super) notes: Notes,
}
