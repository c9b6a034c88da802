use std::sync::Arc;

use api::{Dialer, Serve, WorkerName, session::Endpoint};

/// Replicas of this process by a call, others over a connection.
pub(super) struct Nearby {
    pub(super) own: WorkerName,
    pub(super) here: Arc<dyn Dialer>,
    pub(super) elsewhere: Arc<dyn Dialer>,
}

impl Dialer for Nearby {
    fn dial(&self, endpoint: &Endpoint) -> Arc<dyn Serve> {
        if endpoint.worker == self.own { self.here.dial(endpoint) } else { self.elsewhere.dial(endpoint) }
    }
}
