use std::sync::Arc;

use super::{
    replica::{Replica, Slot},
    service::Service,
};

/// The right to send one request to a replica. Held until the answer has ended; then the next in line gets it.
pub(crate) struct Permit {
    service: Arc<Service>,
    /// `None` only while it is dropped.
    slot: Option<Slot>,
    replica: Arc<Replica>,
}

impl Permit {
    pub(super) fn new(service: Arc<Service>, slot: Slot) -> Self {
        Self { service, replica: slot.replica.clone(), slot: Some(slot) }
    }

    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.slot = None;
        self.service.slot_freed();
    }
}
