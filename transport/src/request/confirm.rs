use std::{sync::Arc, time::Duration};

use api::{ConfirmAddress, WorkerName};
use futures::future::BoxFuture;

use super::{RequestLimits, connect::Way};
use crate::identity::{Identity, Role};

/// How long a worker may take to show who it is at the address that it advertises.
const WITHIN: Duration = Duration::from_secs(5);

/// Connects to workers where they advertise that they are.
pub struct CheckedAddresses {
    identity: Arc<Identity>,
}

impl CheckedAddresses {
    /// Shows this identity to them.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity }
    }
}

impl ConfirmAddress for CheckedAddresses {
    fn confirm(&self, worker: &WorkerName, address: &str) -> BoxFuture<'static, Result<(), String>> {
        let name = Role::Worker.server_name(&worker.0);
        let way = Way::Tls { address: address.to_owned(), name, identity: self.identity.clone() };
        Box::pin(async move {
            // The handshake succeeds with the worker of this name alone. More is not asked.
            let limits = RequestLimits { connect: WITHIN, ..RequestLimits::default() };
            way.connect(&limits).await.map(drop).map_err(|error| error.to_string())
        })
    }
}
